"""Weight files that are missing, damaged, hostile or of another network."""

import pickle
from pathlib import Path

import paddle
import pytest
import tiny
from app_helpers import EXPLAIN, SCRIPTS, Hostile


def saved(layer, kept=1.0):
    """The first part, as a share, of the weight file of a layer."""
    paddle.save(layer.state_dict(), "weights.pdparams")
    content = Path("weights.pdparams").read_bytes()
    return content[: int(len(content) * kept)]


@pytest.mark.parametrize(
    "make, says",
    [
        (None, "no such weight file: weights.pdparams"),
        (lambda: b"", "cannot use the weights weights.pdparams"),
        (lambda: b"just text", "cannot use the weights weights.pdparams"),
        (lambda: saved(tiny.small_net(), 0.02), "cut off or damaged"),
        (lambda: saved(tiny.small_net(), 0.5), "cut off or damaged"),
        (lambda: saved(tiny.small_net(), 0.999), "cut off or damaged"),
        (lambda: saved(tiny.small_net(5)), "[8, 5] where [8, 3] is needed"),
        (lambda: saved(paddle.nn.Linear(3, 3)), "missing: 0.weight"),
        (lambda: pickle.dumps({"0.weight": Hostile(open, "marker", "w")}), "was not run"),
        (lambda: pickle.dumps(Hostile(open, "marker", "w")), "was not run"),
        (lambda: pickle.dumps(5), "no state dict"),
        (lambda: pickle.dumps({}), "no weights"),
    ],
)
@pytest.mark.parametrize("script", SCRIPTS)
def test_bad_weight_file(run_error, script, make, says):
    if make:
        Path("weights.pdparams").write_bytes(make())
    assert says in run_error(script, {"model.weights": "weights.pdparams"})
    assert not Path("marker").exists()


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize(
    "name", [".", "''", "x" * 300, '"a\\0b"', "photo.png/below", "~no one/below"]
)
def test_weight_path_that_is_not_a_file(run_error, script, name):
    assert "weight" in run_error(script, {"model.weights": name})


def test_good_weight_file_is_loaded(run_quick):
    Path("weights.pdparams").write_bytes(saved(tiny.small_net()))
    assert run_quick(EXPLAIN, {"model.weights": "weights.pdparams"})[0] == 0
