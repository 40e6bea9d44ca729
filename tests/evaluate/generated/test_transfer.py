"""Transfer: the ranks that judges with known logits give to class images."""

from pathlib import Path

import numpy as np
import paddle
import pytest
from PIL import Image

from visualize_pd import Classifier, VisualizeError
from visualize_pd.app.commands.evaluate import evaluate_command
from visualize_pd.app.config.schema import GenerateConfig
from visualize_pd.core.config import build
from visualize_pd.evaluate import Named, shares, transfer

TINY = {"name": "tiny:small_net", "image_size": 32}
CONFIG = {"iterations": 6, "model": TINY, "parametrisation": "fourier", "learning_rate": 0.05}
CONFIG["priors"] = {"rotation": 10, "zoom": [0.8, 1.2], "shift": 3, "total_variation": 0}


@pytest.fixture(autouse=True)
def here(monkeypatch):
    monkeypatch.chdir(Path(__file__).parents[1])


class Always(paddle.nn.Layer):
    """A network that gives the same logits for every image. It keeps the shapes of its inputs."""

    def __init__(self, *logits):
        super().__init__()
        self.logits, self.seen = paddle.to_tensor([list(map(float, logits))]), []

    def forward(self, batch):
        self.seen.append(batch.shape)
        return self.logits.expand([len(batch), self.logits.shape[1]])


def judge(name, *logits, size=40):
    return Classifier(Always(*logits), name, name, image_size=size)


def made(**options):
    return build(GenerateConfig, {**CONFIG, **options})


def test_rank_counts_the_classes_with_a_larger_logit():
    judges = [judge("one", 5, 1, 3), judge("other", 2, 2, 9)]
    named = transfer(made(), [0, 1, 2], judges)
    assert [each.target for each in named] == [0, 1, 2]
    assert [each.ranks["one"] for each in named] == [0, 2, 1]
    assert [each.ranks["other"] for each in named] == [1, 1, 0]
    assert judges[0].network.seen == [[1, 3, 40, 40]] * 3


def test_ranks_are_those_of_the_final_pictures():
    """The network that makes the images also judges them here, by its logits of the pictures."""
    from visualize_pd import load_model, to_tensor

    still = {"shift": 0, "total_variation": 0}
    config = made(iterations=60, learning_rate=0.3, priors=still)
    maker = load_model("tiny:small_net", image_size=32)
    named = transfer(config, [0, 1, 2], [maker])
    pictures = [Image.fromarray(each.picture) for each in named]
    logits = maker.network(to_tensor(pictures)).numpy()
    # The logit of each class is largest for the picture of that class.
    assert logits.argmax(0).tolist() == [0, 1, 2]
    for each, row in zip(named, logits):
        assert each.ranks[maker.name] == (row > row[each.target]).sum()


def test_batch_size_does_not_change_the_pictures():
    alone, together = (transfer(made(), [0, 2, 1], batch_size=size) for size in (1, 3))
    for one, other in zip(alone, together):
        assert np.abs(one.picture.astype(int) - other.picture).max() <= 1
    assert np.abs(alone[0].picture.astype(int) - alone[1].picture).max() > 3


def test_shares_of_first_and_of_first_five_ranks():
    named = [Named(0, {"a": rank, "b": 9}, None) for rank in (0, 4, 5, 0)]
    assert shares(named, "a") == (0.5, 0.75) and shares(named, "b") == (0, 0)


def test_judge_without_the_class_is_refused():
    with pytest.raises(VisualizeError, match="no class 2"):
        transfer(made(), [2], [judge("small", 1, 2)])


def command(tmp_path, *arguments):
    config = tmp_path / "config.yaml"
    config.write_text("iterations: 3\nmodel: {name: tiny:small_net, image_size: 32}\n")
    return evaluate_command(
        ["transfer", "--config", str(config), "-o", f"output={tmp_path}", *arguments]
    )


def test_command_prints_a_table_and_draws_a_sheet(tmp_path, capsys):
    assert command(tmp_path, "--classes", "1", "0", "--judges", "tiny:small_net") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["class", "tiny:small_net"]
    assert [line.rsplit(maxsplit=1)[0] for line in lines[1:3]] == ["class 1", "class 0"]
    first, fifth = lines[3].split(), lines[4].split()
    ranks = [int(line.split()[-1]) for line in lines[1:3]]
    assert first == ["first", f"{np.mean([rank == 1 for rank in ranks]):.0%}"]
    assert fifth[-1] == "100%"  # of three classes
    assert Image.open(tmp_path / "transfer" / "sheet.png").width > 2 * 160


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--classes", "7"], "class 7 does not exist"),
        (["--classes", "dog"], "no class names are known"),
        (["--classes", "predicted"], "indices or names"),
        (["--judges", "nobody"], "nobody"),
        (["-o", "objective=filter"], "not objective filter"),
        (["-o", "priors.zoom=[2, 1]"], "the smaller first"),
        (["-o", "priors.zoom=[1]"], "two factors"),
        (["-o", "parametrisation=wavelets"], "unknown parametrisation 'wavelets'; use pixels"),
        (["-o", "fourier.lowest=0"], "fourier.lowest must be greater than 0"),
    ],
)
def test_a_mistake_is_reported_in_one_sentence(tmp_path, capsys, arguments, message):
    given = [] if "--classes" in arguments else ["--classes", "1"]
    judges = [] if "--judges" in arguments else ["--judges", "tiny:small_net"]
    assert command(tmp_path, *given, *judges, *arguments) == 2
    err = capsys.readouterr().err
    assert message in err and err.count("error: ") == 1 and "Traceback" not in err


def test_every_key_of_the_config_reaches_the_ascent():
    from functools import partial

    from visualize_pd import class_image, load_model, noise
    from visualize_pd.synthesis.builder import configured_ascent, configured_start
    from visualize_pd.synthesis.objectives import class_score
    from visualize_pd.synthesis.parametrisations import Fourier

    values = {"learning_rate": 0.2, "cooling": 0.3, "lambda": 0.02, "seed": 5, "init_std": 0.3}
    priors = {"shift": 2, "rotation": 20, "zoom": [0.7, 0.9], "total_variation": 0.01}
    priors.update(alpha_norm=0.01, alpha=4, beta=1.5)
    config = made(**values, priors=priors, fourier={"decay": 1.5, "lowest": 2})
    maker = load_model("tiny:small_net", image_size=32, mean=[0.5] * 3, std=[0.2] * 3)
    start = paddle.concat([configured_start(config, maker)] * 2)
    frames = configured_ascent(config, maker, class_score([1, 2]), start)
    expected = class_image(
        *(maker.network, [1, 2]),
        **{"iterations": 6, "learning_rate": 0.2, "cooling": 0.3, "l2": 0.02, "seed": 5},
        **{"shift": 2, "rotation": 20, "zoom": (0.7, 0.9), "total_variation": 0.01},
        **{"alpha_norm": 0.01, "alpha": 4, "beta": 1.5},
        init=noise((1, 3, 32, 32), 0.3, 5),
        parametrisation=partial(Fourier, mean=[0.5] * 3, std=[0.2] * 3, decay=1.5, lowest=2),
    )
    for found, wanted in zip(frames, expected):
        np.testing.assert_array_equal(found.image.numpy(), wanted.image.numpy())
    others = class_image(maker.network, [1, 2], iterations=6, init=noise((1, 3, 32, 32), 0.3, 5))
    *_, other = others
    assert np.abs(other.image.numpy() - wanted.image.numpy()).max() > 0.1
