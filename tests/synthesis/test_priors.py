"""Penalties, transforms and pixel steps, compared with numbers by hand."""

import numpy as np
import paddle
import pytest

from visualize_pd.synthesis.priors import penalties, pixel_steps, transforms


def test_l2_by_hand():
    assert float(penalties.l2_norm(paddle.to_tensor([[[[1.0, -2.0], [3.0, 0.5]]]]))) == 14.25


def test_total_variation_by_hand():
    """Down: |4−1| + |8−2| = 9; right: |2−1| + |8−4| = 5."""
    assert float(penalties.total_variation(paddle.to_tensor([[[[1.0, 2.0], [4.0, 8.0]]]]))) == 14


def test_total_variation_of_a_constant_is_zero():
    assert float(penalties.total_variation(paddle.full([2, 3, 4, 5], 0.7))) == 0


@pytest.mark.parametrize("penalty", [penalties.l2_norm, penalties.total_variation])
def test_gradient_of_a_penalty_equals_finite_differences(penalty):
    values = np.random.default_rng(0).permutation(2 * 3 * 4 * 5).reshape(2, 3, 4, 5) / 10
    images = paddle.to_tensor(values, dtype="float64", stop_gradient=False)
    (gradient,) = paddle.grad(penalty(images), images)
    step = 1e-5
    for index in [(0, 0, 0, 0), (1, 2, 3, 4), (0, 1, 2, 3), (1, 0, 1, 0)]:
        up, down = values.copy(), values.copy()
        up[index] += step
        down[index] -= step
        rise = float(penalty(paddle.to_tensor(up))) - float(penalty(paddle.to_tensor(down)))
        assert float(gradient[index]) == pytest.approx(rise / (2 * step), abs=1e-6)


def test_random_shift_rolls_by_every_offset_within_its_limit():
    values = np.arange(2 * 3 * 7 * 9, dtype="float32").reshape(2, 3, 7, 9)
    random, seen = np.random.default_rng(0), set()
    for _ in range(200):
        rolled = transforms.random_shift(paddle.to_tensor(values), 2, random).numpy()
        ((down, right),) = np.argwhere(rolled[0, 0] == 0)
        down, right = down - 7 * (down > 3), right - 9 * (right > 4)
        np.testing.assert_array_equal(rolled, np.roll(values, (down, right), (2, 3)))
        seen.add((down, right))
    assert seen == {(d, r) for d in range(-2, 3) for r in range(-2, 3)}


def test_shift_of_zero_returns_the_image_itself():
    images = paddle.ones([1, 3, 4, 4])
    assert transforms.random_shift(images, 0, np.random.default_rng(0)) is images


def test_alpha_norm_by_hand():
    values = paddle.to_tensor([[[[1.0, -2.0], [3.0, 0.5]]]])
    assert float(penalties.alpha_norm(values, 4)) == 1 + 16 + 81 + 0.0625
    assert float(penalties.alpha_norm(values)) == 1 + 64 + 729 + 0.015625


def test_total_variation_of_squares_by_hand():
    """Down: 3² + 6² = 45; right: 1² + 4² = 17."""
    values = paddle.to_tensor([[[[1.0, 2.0], [4.0, 8.0]]]])
    assert float(penalties.total_variation(values, beta=2)) == 62


class Drawn:
    """A random generator that returns the given values."""

    def __init__(self, *values):
        self.values = list(values)

    def uniform(self, low, high):
        value = self.values.pop(0)
        assert low <= value <= high
        return value


@pytest.mark.parametrize("shape", [(6, 6), (6, 10)])
def test_rotation_by_180_degrees_flips_both_axes(shape):
    values = np.random.default_rng(0).random((2, 3, *shape), dtype="float32")
    turned = transforms.random_view(paddle.to_tensor(values), 180, (1, 1), Drawn(180, 1))
    np.testing.assert_allclose(turned.numpy(), values[:, :, ::-1, ::-1], atol=1e-5)


def test_rotation_by_90_degrees():
    values = np.random.default_rng(0).random((1, 3, 6, 6), dtype="float32")
    turned = transforms.random_view(paddle.to_tensor(values), 90, (1, 1), Drawn(90, 1)).numpy()
    np.testing.assert_allclose(turned, np.rot90(values, 1, (2, 3)), atol=1e-5)


def test_rotation_of_an_image_that_is_not_square():
    """In a 4 × 8 image, a rotation by 90 degrees maps the middle 4 × 4 pixels onto themselves."""
    values = np.random.default_rng(0).random((1, 1, 4, 8), dtype="float32")
    turned = transforms.random_view(paddle.to_tensor(values), 90, (1, 1), Drawn(90, 1)).numpy()
    middle = values[:, :, :, 2:6]
    np.testing.assert_allclose(turned[:, :, :, 2:6], np.rot90(middle, 1, (2, 3)), atol=1e-5)


def test_zoom_enlarges_around_the_centre():
    """At twice the size, a ramp is half as steep, and its middle stays."""
    ramp = np.broadcast_to(np.arange(9, dtype="float32"), (1, 3, 9, 9))
    zoomed = transforms.random_view(paddle.to_tensor(ramp), 0, (1, 3), Drawn(0, 2)).numpy()
    np.testing.assert_allclose(zoomed, 4 + (ramp - 4) / 2, atol=1e-5)


def test_priors_that_are_switched_off_return_the_image_itself():
    images = paddle.ones([1, 3, 4, 4])
    assert transforms.random_view(images, 0, (1, 1), np.random.default_rng(0)) is images
    assert pixel_steps.gaussian_blur(images, 0) is images
    assert pixel_steps.zero_smallest(images, images[:, :1], 0) is images


def test_blur_is_a_weighted_sum_of_mirrored_pixels():
    values = np.random.default_rng(0).random((2, 3, 7, 9), dtype="float32")
    bell = np.exp(-(np.arange(-3, 4) ** 2) / 2)
    bell = (bell / bell.sum()).astype("float64")
    wide = np.pad(values.astype("float64"), ((0, 0), (0, 0), (3, 3), (3, 3)), mode="reflect")
    expected = sum(
        bell[y] * bell[x] * wide[:, :, y : y + 7, x : x + 9] for y in range(7) for x in range(7)
    )
    np.testing.assert_allclose(
        pixel_steps.gaussian_blur(paddle.to_tensor(values), 1.0).numpy(), expected, atol=1e-6
    )


def test_smallest_pixels_become_the_mean_colour():
    values = paddle.to_tensor(np.arange(2 * 3 * 2 * 2, dtype="float32").reshape(2, 3, 2, 2))
    size = paddle.to_tensor([[[[1.0, 4.0], [3.0, 2.0]]], [[[8.0, 5.0], [6.0, 7.0]]]])
    kept = pixel_steps.zero_smallest(values, size, 0.5).numpy()
    expected = values.numpy() * np.array([[[[0, 1], [1, 0]]], [[[1, 0], [0, 1]]]], dtype="float32")
    np.testing.assert_array_equal(kept, expected)


def test_pixel_exactly_at_the_limit_stays():
    size = paddle.to_tensor([[[[1.0, 4.0], [3.0, 2.0]]]])
    kept = pixel_steps.zero_smallest(paddle.ones([1, 3, 2, 2]), size, 1 / 3).numpy()
    np.testing.assert_array_equal(kept[0, 0], [[0, 1], [1, 1]])


def test_pixels_from_beyond_the_edge_are_mirrored():
    ramp = np.broadcast_to(np.arange(9, dtype="float32"), (1, 3, 9, 9))
    smaller = transforms.random_view(paddle.to_tensor(ramp), 0, (0.5, 1), Drawn(0, 0.5)).numpy()
    mirrored = np.array([3, 1, 0, 2, 4, 6, 8, 7, 5], dtype="float32")
    np.testing.assert_allclose(smaller, np.broadcast_to(mirrored, (1, 3, 9, 9)), atol=1e-4)
