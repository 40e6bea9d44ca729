"""Class images whose gradients come from one program of the whole network."""

import numpy as np
import paddle
import pytest
from paddle import nn

import visualize_pd as vp
from visualize_pd.network.fast import use_fast
from visualize_pd.network.fast.whole import gradient
from visualize_pd.synthesis import ascent
from visualize_pd.synthesis.priors.statistics import Statistics


@pytest.fixture(autouse=True)
def small_images_count(monkeypatch):
    monkeypatch.setattr(ascent, "SIDE", 16)


@pytest.fixture
def runs(monkeypatch):
    """The number of images in each run of a program."""
    counted, run = [], gradient._run
    monkeypatch.setattr(
        gradient, "_run", lambda *given: counted.append(len(given[1])) or run(*given)
    )
    return counted


def smooth_network():
    """A network without ReLUs, so that rounding cannot open one."""
    paddle.seed(4)
    network = nn.Sequential(
        nn.Conv2D(3, 8, 3), nn.BatchNorm2D(8), nn.Swish(), nn.Conv2D(8, 6, 3, stride=2), nn.Swish(),
        nn.AdaptiveAvgPool2D(1), nn.Flatten(), nn.Linear(6, 4),
    )  # fmt: skip
    network.eval()
    return network


def frames_of(network, targets=1, iterations=16, **options):
    start = ascent.noise((1, 3, 16, 16), std=0.5)
    return list(vp.class_image(network, targets, init=start, iterations=iterations, **options))


@pytest.mark.parametrize("targets", [1, [2, 0]])
def test_frames_are_those_of_paddles_own_gradient(targets, runs):
    network = smooth_network()
    found = frames_of(network, targets)
    assert len(runs) > 16
    use_fast(False)
    try:
        expected = frames_of(network, targets)
    finally:
        use_fast()
    for one, other in zip(found, expected):
        np.testing.assert_allclose(one.scores, other.scores, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found[-1].image.numpy(), expected[-1].image.numpy(), atol=2e-3)


def test_a_resumed_ascent_gives_the_same_bytes(runs):
    whole = frames_of(smooth_network())
    count, network = len(runs), smooth_network()
    rest = frames_of(network, resume=whole[9])
    assert len(runs) > count
    for one, other in zip(rest, whole[9:]):
        assert one.image.numpy().tobytes() == other.image.numpy().tobytes()
        assert one.scores == other.scores


@pytest.mark.parametrize("options", [{"iterations": 15}, {"score": "probability"}])
def test_short_ascents_and_other_scores_make_no_program(options, runs, monkeypatch):
    network = smooth_network()
    if "score" in options:
        objective = vp.synthesis.objectives.class_score(1, "probability")
        pixels = vp.synthesis.parametrisations.Pixels(ascent.noise((1, 3, 16, 16)))
        list(ascent.ascend(network, objective, pixels, iterations=16))
    else:
        frames_of(network, **options)
    assert not runs


def test_a_prior_that_watches_the_layers_sees_each_pass_once(runs, monkeypatch):
    """Also if the network already has a program."""
    network, seen = smooth_network(), []
    forward = Statistics._forward
    monkeypatch.setattr(Statistics, "_forward", lambda *given: seen.append(1) or forward(*given))
    use_fast(False)
    try:
        expected = frames_of(network, statistics=0.5)
    finally:
        use_fast()
    once, made = len(seen), len(runs)
    with gradient.expect_images(gradient.MANY):
        vp.gradient(network, paddle.randn([1, 3, 16, 16]), 1)
    assert len(runs) > made
    made = len(runs)
    found = frames_of(network, statistics=0.5)
    assert len(seen) == 2 * once and len(runs) == made
    for one, other in zip(found, expected):
        np.testing.assert_allclose(one.scores, other.scores, rtol=1e-4, atol=1e-5)


def test_the_slope_of_a_score_counts():
    """∂ Σ 3 · S_c / ∂ I is three times the gradient."""
    network, images = smooth_network(), paddle.randn([2, 3, 16, 16])
    images.stop_gradient = False
    with gradient.expect_images(gradient.MANY):
        scores = gradient.class_logits(
            network, images, [1, 3], lambda: vp.gradient(network, images, [1, 3])
        )
    np.testing.assert_allclose(
        scores.numpy(), network(images).numpy()[[0, 1], [1, 3]], rtol=1e-5, atol=1e-6
    )
    (found,) = paddle.grad((scores * paddle.to_tensor([3.0, -1.0])).sum(), [images])
    expected = (
        vp.gradient(network, images, [1, 3]).numpy() * np.float32([3, -1])[:, None, None, None]
    )
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-5 * np.abs(expected).max())
