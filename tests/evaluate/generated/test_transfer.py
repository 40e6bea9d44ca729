"""Transfer: what judges with known logits and statistics say of class images."""

from pathlib import Path

import numpy as np
import paddle
import pytest
from PIL import Image

from visualize_pd import Classifier, VisualizeError
from visualize_pd.app.config.schema import GenerateConfig
from visualize_pd.core.config import build
from visualize_pd.evaluate import (
    Named,
    mean_probability,
    shares,
    statistics_distances,
    transfer,
)
from visualize_pd.evaluate.generated import CLASSES, FRESH_CLASSES, class_ascent, judge_pictures

TINY = {"name": "tiny:small_net", "image_size": 32}
CONFIG = {"iterations": 6, "model": TINY, "parametrisation": "fourier", "learning_rate": 0.05}
CONFIG["priors"] = {"rotation": 10, "zoom": [0.8, 1.2], "shift": 3, "total_variation": 0}


@pytest.fixture(autouse=True)
def here(monkeypatch):
    monkeypatch.chdir(Path(__file__).parents[2])


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
    named = [Named(0, {"a": rank, "b": 9}, None, {}, {}) for rank in (0, 4, 5, 0)]
    assert shares(named, "a") == (0.5, 0.75) and shares(named, "b") == (0, 0)


def test_probabilities_are_the_softmax_of_the_logits():
    """Logits ln 1, ln 2 and ln 5 are the probabilities 1/8, 2/8 and 5/8."""
    judges = [judge("one", *np.log([1, 2, 5])), judge("other", *np.log([3, 3, 2]))]
    named = judge_pictures(judges, [np.zeros((8, 8, 3), "uint8")] * 2, [2, 0])
    assert [each.probabilities["one"] for each in named] == pytest.approx([5 / 8, 1 / 8])
    assert [each.probabilities["other"] for each in named] == pytest.approx([2 / 8, 3 / 8])
    assert mean_probability(named, "one") == pytest.approx(3 / 8)


class Normalised(paddle.nn.Layer):
    """Two normalisation layers with known statistics, the second one of the first one's output."""

    def __init__(self, means, variances):
        super().__init__()
        self.first, self.second = paddle.nn.BatchNorm2D(3), paddle.nn.BatchNorm2D(3)
        self.first._mean.set_value(paddle.to_tensor(means, "float32"))
        self.first._variance.set_value(paddle.to_tensor(variances, "float32"))

    def forward(self, x):
        return self.second(self.first(x)).mean([2, 3])


def divergence(mean, variance, kept_mean, kept_variance):
    """The divergence of two Gaussians, with the prior's ε = 0.001 in both variances."""
    ratio = (variance + 1e-3) / (kept_variance + 1e-3)
    return (ratio + (mean - kept_mean) ** 2 / (kept_variance + 1e-3) - 1 - np.log(ratio)) / 2


def test_distance_is_the_divergence_from_the_statistics_of_the_judge():
    """Red is 1 in one half of the picture and 0 in the other: mean 1/2, variance 1/4."""
    means, variances = [0.25, 0.5, 0.0], [0.5, 0.25, 1.0]
    picture = np.zeros((8, 8, 3), "uint8")
    picture[:, :4, 0] = picture[:4, :, 1] = 255
    network = Normalised(means, variances)
    network.train()
    own = Classifier(network, "own", "own", image_size=8, mean=[0.0] * 3, std=[1.0] * 3)
    colours = [(0.5, 0.25), (0.5, 0.25), (0.0, 0.0)]
    expected = 0
    for (mean, variance), kept, spread in zip(colours, means, variances):
        scale = spread + 1e-5
        expected += divergence(mean, variance, kept, spread) / 3
        expected += divergence((mean - kept) / scale**0.5, variance / scale, 0, 1) / 3
    other = judge("without", 1, 2, 3)
    (found,) = statistics_distances([own, other], [picture])
    assert found == {"own": pytest.approx(expected, rel=1e-4)}
    (named,) = judge_pictures([own, other], [picture], [1])
    assert named.distances == found
    assert network.training and "forward" not in vars(network.first)


def test_judge_without_the_class_is_refused():
    for target in (2, -1):
        with pytest.raises(VisualizeError, match=f"no class {target}"):
            judge_pictures([judge("small", 1, 2)], [np.zeros((8, 8, 3), "uint8")], [target])


def test_what_a_config_has_wrong_is_told_before_the_first_step():
    maker = judge("maker", 1, 2)
    for config, message in (
        (made(priors={"zoom": [2, 1]}), "the smaller first"),
        (made(parametrisation="wavelets"), "unknown parametrisation"),
        (made(objective="filter"), "not objective filter"),
        (made(init="nothing.jpg"), "no such image"),
    ):
        with pytest.raises(VisualizeError, match=message):
            class_ascent(config, maker, [0])
    assert not maker.network.seen


def test_fresh_classes_are_new():
    """Neither those of the measure, nor every fiftieth, by which its numbers were checked."""
    assert len(set(CLASSES)) == len(set(FRESH_CLASSES)) == 20
    assert not set(FRESH_CLASSES) & {*CLASSES, *range(25, 1000, 50)}
    assert all(0 <= target < 1000 for target in FRESH_CLASSES)


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
