"""Blur IG: PAIR's numbers, completeness, and linear scores by algebra."""

import numpy as np
import paddle
import pytest
from integral_toys import TARGETS, Power, W, assert_exact
from oracle_toys import Tanh, normal
from toys import Linear, Quadratic, close, counting, images

from visualize_pd import VisualizeError, blur_ig
from visualize_pd.attribution.path.blur_ig import _blur

# From PAIR's package saliency 0.2.1: BlurIG().GetMask(image, …, max_sigma=1.5, steps=40000,
# grad_step=1e-5) on class 1 of the score of `oracle_toys`. The image is 0 within 7 pixels of its
# edges: there PAIR's blur takes zeros from outside, and the blur of the package does not.
PAIR = {
    (0, 8, 7): 0.179801885,
    (1, 10, 9): -0.204971805,
    (2, 12, 12): 0.172522237,
    (0, 15, 7): 0.22174001,
    (1, 17, 10): -0.00262203,
    (2, 11, 10): 0.402433166,
}


def blurred(plane, sigma):
    """Each pixel as the weighted mean of all pixels, by loops."""
    result = np.zeros_like(plane, dtype="float64")
    for y, x in np.ndindex(plane.shape):
        rows = np.exp(-((np.arange(plane.shape[0]) - y) ** 2) / (2 * sigma**2))
        columns = np.exp(-((np.arange(plane.shape[1]) - x) ** 2) / (2 * sigma**2))
        weights = rows[:, None] * columns
        result[y, x] = (weights * plane).sum() / weights.sum()
    return result


def by_hand(batch, sigma):
    return np.stack([[blurred(plane, sigma) for plane in image] for image in batch.numpy()])


def test_numbers_of_pair():
    picture = np.zeros((1, 3, 24, 20))
    picture[0, :, 8:16, 7:13] = normal(5, 3, 8, 6)
    maps = blur_ig(Tanh(24, 20), paddle.to_tensor(picture), 1, max_sigma=1.5).numpy()[0]
    for place, value in PAIR.items():
        assert abs(maps[place] - value) < 3e-4 * 0.62  # of the largest value


def test_linear_score_gives_the_difference_to_the_blurred_image():
    batch = images()
    maps, gap = blur_ig(Linear(W), batch, TARGETS, max_sigma=3, return_gap=True)
    assert_exact(maps.numpy(), W[TARGETS] * (batch.numpy() - by_hand(batch, 3)))
    np.testing.assert_allclose(gap.numpy(), 0, atol=2e-5)


def test_quadratic_score_gives_half_the_difference_of_the_squares():
    """The integral of w · x · dx of each pixel, whatever its path."""
    batch = images()
    maps = blur_ig(Quadratic(W), batch, TARGETS).numpy()
    x = batch.numpy().astype("float64")
    close(maps, W[TARGETS] * (x**2 - by_hand(batch, 7 / 6) ** 2) / 2, 1e-5)


def test_gap_is_what_the_map_misses():
    batch = images()
    maps, gap = blur_ig(
        *(Power(W, 3), batch, TARGETS), steps=3, quadrature="midpoint", return_gap=True
    )
    x = batch.numpy().astype("float64")
    difference = (W[TARGETS] * (x**3 - by_hand(batch, 7 / 6) ** 3)).sum((1, 2, 3))
    missing = maps.numpy().sum((1, 2, 3)) - difference
    assert np.abs(missing).min() > 0.1
    np.testing.assert_allclose(gap.numpy(), missing, rtol=1e-3)


@pytest.mark.parametrize("sigma", [0, 0.4, 2.5, 60])
def test_derivative_of_the_blur(sigma):
    matrix, slope = _blur(9, sigma)
    np.testing.assert_allclose(matrix.sum(1), 1)
    above, below = (_blur(9, max(sigma, 0.01) + step)[0] for step in (1e-5, -1e-5))
    np.testing.assert_allclose(slope, (above - below) / 2e-5, atol=1e-8)


Counting = counting(Quadratic)


@pytest.mark.parametrize(("batch_size", "sizes"), [(1, [2] * 7), (6, [4, 4, 6]), (100, [14])])
def test_batch_size_changes_memory_only(batch_size, sizes):
    batch, network = images(), Counting(W)
    expected = blur_ig(Quadratic(W), batch, TARGETS, steps=7).numpy()
    maps = blur_ig(network, batch, TARGETS, steps=7, batch_size=batch_size).numpy()
    assert_exact(maps, expected)
    assert network.sizes == sizes


@pytest.mark.parametrize(
    "options",
    [
        {"steps": 0},
        {"quadrature": "simpson"},
        {"max_sigma": 0},
        {"max_sigma": True},
        {"max_sigma": "wide"},
        {"batch_size": 0},
    ],
    ids=str,
)
def test_wrong_options(options):
    with pytest.raises(VisualizeError, match=next(iter(options))):
        blur_ig(Linear(W), images(), TARGETS, **options)
