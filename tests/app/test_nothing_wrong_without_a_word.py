"""What would be wrong without a word is refused, or kept apart."""

import numpy as np
import paddle
import pytest
from app_helpers import TINY, run_explain, run_generate
from PIL import Image
from safetensors.numpy import save_file
from tiny import small_net

from visualize_pd import load_model
from visualize_pd.core.errors import ModelError


@pytest.fixture
def nan_weights(tmp_path):
    arrays = {name: value.numpy() for name, value in small_net().state_dict().items()}
    arrays["6.bias"] = np.full_like(arrays["6.bias"], np.nan)
    save_file(arrays, tmp_path / "nan.safetensors")
    return f"{{name: tiny:small_net, image_size: 32, weights: {tmp_path / 'nan.safetensors'}}}"


@pytest.mark.parametrize("run", [run_explain, run_generate])
def test_weights_that_are_no_numbers_are_blamed(run, nan_weights, tmp_path, photograph, capsys):
    own = {"images": photograph("a.png")} if run is run_explain else {"target": 1}
    folder = run(tmp_path / "out", code=2, model=nan_weights, **own)
    error = capsys.readouterr().err
    assert "not finite number" in error.replace("a finite", "finite")
    assert "learning_rate" not in error
    assert not list(folder.rglob("*.gif")) and not list(folder.rglob("*.jpg"))


def test_a_learning_rate_that_is_too_high_is_blamed_as_such(tmp_path, capsys):
    settings = {**TINY, "target": 1, "iterations": 9, "learning_rate": 1e38}
    run_generate(tmp_path, code=2, config="class_image_pixels", **settings)
    error = capsys.readouterr().err
    assert "lower learning_rate" in error and "weights" not in error


def test_a_photograph_named_comparison_keeps_its_figure(tmp_path, photograph):
    """The sheet of a comparison has that name too."""
    for name in ("comparison.png", "Comparison_2.png", "comparisons.png"):
        photograph(name)
    pictures = {"images": f"[{tmp_path}/*omparison*.png]"}
    settings = {**TINY, **pictures, "compare": "[gradient, grad_cam]", "report": "true"}
    folder = run_explain(tmp_path / "out", **settings)
    names = sorted(path.name for path in folder.glob("*.jpg"))
    assert names == [
        "Comparison_2_image_pp.jpg",
        "comparison_image_pp.jpg",
        "comparison_pp.jpg",
        "comparisons_pp.jpg",
    ]
    with Image.open(folder / "comparison_pp.jpg") as sheet:
        assert sheet.height > 2 * 160  # three rows, not the figure of one photograph


def test_class_names_end_at_line_feeds_alone(tmp_path):
    labels = tmp_path / "labels.txt"
    labels.write_bytes("one\x0cpart two\ntwo\u2028lines\nthree\n".encode())
    classifier = load_model("tiny:small_net", num_classes=3, labels=str(labels))
    assert classifier.labels == ["one\x0cpart two", "two\u2028lines", "three"]
    assert paddle.is_tensor(classifier.network(paddle.zeros([1, 3, 32, 32])))


@pytest.mark.parametrize("text", ["", "one", "one\ntwo\nthree\nfour\n"])
def test_another_number_of_class_names_is_refused(tmp_path, text):
    labels = tmp_path / "labels.txt"
    labels.write_text(text)
    with pytest.raises(ModelError, match=f"has {len(text.split())} class names for 3 classes"):
        load_model("tiny:small_net", num_classes=3, labels=str(labels))
