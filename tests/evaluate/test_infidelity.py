"""Infidelity: the squares that it hides, its definition, and the scale of a map."""

import numpy as np
import paddle
import pytest
from known_scores import BASELINES, READ, TARGETS, Recording, W, as_map, fill_of, logits_of
from toys import Linear, close, images, weights

from visualize_pd.evaluate import infidelity


def squares_of(network, count):
    """The pixels that were set to 0 in each changed copy of images of ones, `[N · samples, H, W]`.

    `count`: the number of images, which come first, unchanged.
    """
    inputs = np.concatenate(network.inputs)
    assert (inputs == inputs[:, :1]).all()
    return (inputs[count:] == 0)[:, 0]


def test_squares_have_many_sizes_and_cover_the_image():
    network = Recording(weights(2, 8, 11))
    infidelity(network, paddle.ones([1, 3, 8, 11]), np.ones((1, 1, 8, 11)), 0)
    hidden = squares_of(network, 1)
    assert len(hidden) == 100 and hidden.any(axis=0).all()
    sides = set()
    for one in hidden:
        rows, columns = np.flatnonzero(one.any(1)), np.flatnonzero(one.any(0))
        assert len(rows) == len(columns) and one.sum() == len(rows) ** 2 > 0
        assert np.ptp(rows) == np.ptp(columns) == len(rows) - 1
        sides.add(len(rows))
    assert len(sides) >= 3 and not hidden.all(axis=(1, 2)).any()
    for edge in (hidden[:, 0], hidden[:, -1], hidden[:, :, 0], hidden[:, :, -1]):
        assert edge.any()


@pytest.mark.parametrize("score", ["logit", "probability"])
def test_infidelity_is_the_mean_squared_error_over_the_squares(score):
    """The definition, for the squares that the network really got."""
    w = weights(3, 8, 11)
    network, batch = Recording(w), paddle.ones([1, 3, 8, 11])
    heat = 3 * w[1].sum(0) + np.random.default_rng(2).standard_normal((8, 11))
    options = {"samples": 60, "score": score}
    plain = infidelity(network, batch, as_map(heat), 1, **options, scaled=False)
    hidden = squares_of(network, 1)
    predicted = np.array([heat[one].sum() for one in hidden])
    read = READ[score]
    whole = read(logits_of(np.ones((1, 3, 8, 11)), w))[0, 1]
    actual = np.array(
        [whole - read(logits_of(np.ones((1, 3, 8, 11)) * ~one, w))[0, 1] for one in hidden]
    )
    close(plain, [((predicted - actual) ** 2).mean()])
    scaled = infidelity(network, batch, as_map(heat), 1, **options)
    (factor,), left, *_ = np.linalg.lstsq(predicted[:, None], actual, rcond=None)
    assert factor > 0
    close(scaled, left / 60)
    assert scaled[0] < 0.9 * plain[0]


@pytest.mark.parametrize("baseline", BASELINES)
@pytest.mark.parametrize("scaled", [True, False])
def test_infidelity_of_exact_contributions_is_zero(baseline, scaled):
    batch = images()
    fill, start = fill_of(baseline, batch)
    exact = W[TARGETS] * (batch.numpy() - start)
    nothing, found = (
        infidelity(Linear(W), batch, maps, TARGETS, baseline=fill, scaled=scaled)
        for maps in (0 * exact, exact)
    )
    assert (nothing > 0.1).all() and (found <= 1e-9 * nothing).all()


def test_infidelity_of_a_doubled_map():
    """Scaled, it is 0. Unscaled, it is wrong by the sum in each square, as a map of zeros is."""
    network, batch = Recording(weights(2, 6, 5)), paddle.ones([1, 3, 6, 5])
    exact = weights(2, 6, 5)[1].sum(0)
    plain = infidelity(network, batch, as_map(2 * exact), 1, scaled=False)
    found = np.array([exact[one].sum(dtype="float64") for one in squares_of(network, 1)])
    close(plain, [(found**2).mean()])
    assert infidelity(network, batch, as_map(2 * exact), 1)[0] < 1e-9 * plain[0]
    for scaled in (True, False):
        close(infidelity(network, batch, as_map(0 * exact), 1, scaled=scaled), plain)


def test_each_image_has_its_own_scale():
    batch = images()
    exact = W[TARGETS] * batch.numpy() * np.array([3, 0.01])[:, None, None, None]
    size = infidelity(Linear(W), batch, 0 * exact, TARGETS)
    assert (infidelity(Linear(W), batch, exact, TARGETS) <= 1e-9 * size).all()


def test_seed_decides_the_squares():
    batch, maps = images(), images(seed=3).numpy()
    first, again, other = (
        infidelity(Linear(W), batch, maps, TARGETS, seed=seed) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).min() > 1e-3


@pytest.mark.parametrize("shape", [(1, 7), (5, 1), (1, 1)])
def test_images_of_one_row_or_column(shape):
    w = weights(2, *shape)
    batch = images(1, *shape)
    exact = w[:1] * batch.numpy()
    for scaled in (True, False):
        assert infidelity(Linear(w), batch, exact, 0, scaled=scaled)[0] < 1e-9
