"""Insertion and deletion curves: order of the pixels, scores, shares and areas."""

import numpy as np
import paddle
import pytest
from known_scores import (
    BASELINES,
    CURVES,
    READ,
    TARGETS,
    VALUES,
    ZERO,
    W,
    as_map,
    contributions,
    fill_of,
    logits_of,
    network_of_shares,
    softmax,
)
from toys import Linear, close, images, weights

from visualize_pd.core.errors import ConfigError
from visualize_pd.evaluate import deletion, insertion
from visualize_pd.evaluate.faithfulness.curves import curve_parts


def test_curves_of_four_pixels_by_hand():
    network, batch = network_of_shares(VALUES)
    rising = insertion(network, batch, as_map(VALUES), 0, **ZERO)
    close(rising.shares, [0, 0.25, 0.5, 0.75, 1])
    close(rising.scores, [[0, 8, 12, 14, 15]])
    close(rising.areas, [(4 + 10 + 13 + 14.5) / 4])
    falling = deletion(network, batch, as_map(VALUES), 0, **ZERO)
    close(falling.shares, [0, 0.25, 0.5, 0.75, 1])
    close(falling.scores, [[15, 7, 3, 1, 0]])
    close(falling.areas, [(11 + 5 + 2 + 0.5) / 4])


def test_curves_of_four_pixels_in_two_steps():
    network, batch = network_of_shares(VALUES)
    rising = insertion(network, batch, as_map(VALUES), 0, **ZERO, steps=2)
    close(rising.shares, [0, 0.5, 1])
    close(rising.scores, [[0, 12, 15]])
    close(rising.areas, [(6 + 13.5) / 2])
    falling = deletion(network, batch, as_map(VALUES), 0, **ZERO, steps=2)
    close(falling.scores, [[15, 3, 0]])


def test_curves_of_the_reversed_map_by_hand():
    network, batch = network_of_shares(VALUES)
    worst = -as_map(VALUES)
    close(insertion(network, batch, worst, 0, **ZERO).scores, [[0, 1, 3, 7, 15]])
    close(deletion(network, batch, worst, 0, **ZERO).scores, [[15, 14, 12, 8, 0]])


def test_curves_of_probabilities_by_hand():
    network, batch = network_of_shares(VALUES, others=[[[1.0, 3.0], [2.0, 0.5]]])
    mine, theirs = np.array([0, 8, 12, 14, 15]), np.array([0, 1, 3, 3.5, 6.5])
    curve = insertion(network, batch, as_map(VALUES), 0, baseline="zero")
    close(curve.scores, [1 / (1 + np.exp(theirs - mine))])
    curve = deletion(network, batch, as_map(VALUES), 0)
    close(curve.scores, [1 / (1 + np.exp((6.5 - theirs) - (15 - mine)))])


def test_area_of_a_straight_curve_is_half_its_height():
    """The curve rises from 0 to 24, so its area is 12 for any number of steps."""
    network, batch = network_of_shares(np.ones((4, 6)))
    for steps in (1, 2, 3, 8, 24):
        curve = insertion(network, batch, np.ones((1, 1, 4, 6)), 0, **ZERO, steps=steps)
        close(curve.areas, [12.0])


@pytest.mark.parametrize("method", CURVES)
@pytest.mark.parametrize("steps", [1, 2, 3, 4, 9, 10, 34, 35, 36, 500])
def test_each_step_changes_an_equal_share_of_the_pixels(method, steps):
    """Of the 5 × 7 pixels, those with the largest contributions are changed first."""
    batch = images()
    exact = contributions(batch)
    curve = method(Linear(W), batch, exact[:, None], TARGETS, **ZERO, steps=steps)
    assert curve.shares[0] == 0 and curve.shares[-1] == 1
    taken = np.round(curve.shares * 35).astype(int)
    np.testing.assert_allclose(curve.shares, taken / 35, atol=1e-12)
    steps = min(steps, 35)
    assert np.abs(taken - 35 * np.arange(steps + 1) / steps).max() < 1
    falling = -np.sort(-exact.reshape(2, -1))
    sums = np.concatenate([np.zeros((2, 1)), np.cumsum(falling, axis=1)], axis=1)[:, taken]
    close(curve.scores, sums if method is insertion else sums[:, -1:] - sums)


@pytest.mark.parametrize("score", READ)
@pytest.mark.parametrize("baseline", BASELINES)
def test_deletion_ends_and_insertion_starts_at_the_baseline(baseline, score):
    batch, w = images(), W / 16
    fill, start = fill_of(baseline, batch)
    maps = np.random.default_rng(0).standard_normal((2, 1, 5, 7))
    options = {"baseline": fill, "score": score, "steps": 6}
    falling = deletion(Linear(w), batch, maps, TARGETS, **options).scores
    rising = insertion(Linear(w), batch, maps, TARGETS, **options).scores
    first, last = (READ[score](logits_of(x, w))[[0, 1], TARGETS] for x in (start, batch.numpy()))
    assert np.abs(first - last).min() > 0.002
    for found, expected in (
        (falling[:, 0], last),
        (falling[:, -1], first),
        (rising[:, 0], first),
        (rising[:, -1], last),
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_default_baselines_are_mean_colour_and_blurred_image():
    batch, maps, network = images(), images(seed=3).numpy(), Linear(W / 16)
    for method, baseline in ((deletion, "zero"), (insertion, "blurred")):
        plain = method(network, batch, maps, TARGETS).scores
        _, start = fill_of(baseline, batch)
        expected = softmax(logits_of(start, W / 16))[[0, 1], TARGETS]
        np.testing.assert_allclose(plain[:, 0 if method is insertion else -1], expected, rtol=1e-5)


def test_default_is_a_hundred_steps():
    batch = images(1, 12, 13)
    for method in CURVES:
        curve = method(Linear(weights(2, 12, 13)), batch, images(1, 12, 13).numpy(), 0)
        assert curve.shares.shape == (101,) and curve.scores.shape == (1, 101)


@pytest.mark.parametrize("method", CURVES)
def test_channels_of_a_map_are_summed(method):
    """Only the sum over channels gives the order of VALUES.

    A single channel, the absolute values and the maximum give other orders.
    """
    network, batch = network_of_shares(VALUES)
    maps = np.array([[[-90, 0], [1, 50]], [[90, 1], [1, -50]], [[8, 0], [2, 2]]])[None]
    expected = method(network, batch, as_map(VALUES), 0, **ZERO).scores
    np.testing.assert_array_equal(method(network, batch, maps, 0, **ZERO).scores, expected)
    tensor = paddle.to_tensor(maps.astype("float32"))
    np.testing.assert_array_equal(method(network, batch, tensor, 0, **ZERO).scores, expected)


@pytest.mark.parametrize("method", CURVES)
def test_height_and_width_of_a_map_are_not_swapped(method):
    batch, place = paddle.ones([1, 3, 4, 9]), np.zeros((4, 9))
    place[1, 6] = 1
    network, _ = network_of_shares(place)
    curve = method(network, batch, as_map(place), 0, **ZERO)
    expected = np.r_[0, np.ones(36)]
    close(curve.scores[0], expected if method is insertion else 1 - expected)


@pytest.mark.parametrize("method", CURVES)
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("sign", [1, -1])
def test_equal_pixels_are_changed_in_random_order(method, axis, sign):
    """The curve of a constant map is nearly straight.

    Pixels taken row by row would bend it by a quarter of its height.
    """
    ramp = np.arange(1.0, 25)[::sign]
    values = np.ones((24, 24)) * (ramp[:, None] if axis == 0 else ramp)
    network, batch = network_of_shares(values)
    curve = method(network, batch, np.full((1, 1, 24, 24), 3.0), 0, **ZERO)
    line = values.sum() * (curve.shares if method is insertion else 1 - curve.shares)
    assert np.abs(curve.scores[0] - line).max() < 0.05 * values.sum()


def test_equal_pixels_still_come_after_larger_ones():
    """The left half is worth more than the right half: the curve is two straight lines."""
    half = np.repeat([1.0, 0.0], 12) * np.ones((24, 1))
    values = half * 3 + 1
    network, batch = network_of_shares(values)
    curve = insertion(network, batch, as_map(half), 0, **ZERO, steps=24)
    # All pixels of a half are equal, so their order does not matter.
    close(curve.scores[0], 24 * np.r_[np.arange(13) * 4, 48 + np.arange(1, 13)])


@pytest.mark.parametrize("measure", ["insertion", "deletion"])
def test_parts_of_a_curve_come_one_after_another(measure):
    """Of 24 equal pixels 3 change in each step; 2 steps fit into a pass, and all count 1."""
    network, image = network_of_shares(np.ones((4, 6)))
    place = np.zeros((4, 6))
    place[2, 1:4] = 9  # these three are the first step
    options = {"steps": 8, "score": "logit", "batch_size": 2}
    parts = list(curve_parts(measure, network, image, as_map(place), 0, **options))
    assert [len(part.shares) for part in parts] == [1, 2, 2, 2, 2]
    close(np.concatenate([part.shares for part in parts]), np.arange(9) / 8)
    scores = np.concatenate([part.scores for part in parts])
    if measure == "deletion":
        close(scores, 24 - 3 * np.arange(9))
        first = next(curve_parts(measure, network, image, as_map(place), 0, steps=8, batch_size=2))
        close(first.image, np.ones((3, 4, 6)))
        close(parts[-1].image + 1, np.ones((3, 4, 6)))
        after = curve_parts(measure, network, image, as_map(place), 0, steps=8, batch_size=1)
        close(list(after)[1].image[0], np.where(place > 0, 0, 1))
    whole = {"insertion": insertion, "deletion": deletion}[measure]
    expected = whole(network, image, as_map(place), 0, **options)
    np.testing.assert_array_equal(scores, expected.scores[0])


def test_network_is_as_it_was_between_the_parts_of_a_curve():
    network, image = network_of_shares(VALUES)
    network.train()
    parts = curve_parts("insertion", network, image, as_map(VALUES), 0, steps=4, batch_size=1)
    for _ in parts:
        assert network.training and not any(p.stop_gradient for p in network.parameters())
        assert paddle.is_grad_enabled()


def test_unknown_curve_is_refused():
    network, image = network_of_shares(VALUES)
    with pytest.raises(ConfigError, match="use insertion, deletion"):
        next(curve_parts("average_drop", network, image, as_map(VALUES), 0))
