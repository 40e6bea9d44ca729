import numpy as np
import paddle
import pytest

from visualize_pd import priors


def test_l2_by_hand():
    assert float(priors.l2(paddle.to_tensor([[[[1.0, -2.0], [3.0, 0.5]]]]))) == 14.25


def test_total_variation_by_hand():
    """Down: |4−1| + |8−2| = 9; right: |2−1| + |8−4| = 5."""
    assert float(priors.total_variation(paddle.to_tensor([[[[1.0, 2.0], [4.0, 8.0]]]]))) == 14


def test_total_variation_of_a_constant_is_zero():
    assert float(priors.total_variation(paddle.full([2, 3, 4, 5], 0.7))) == 0


@pytest.mark.parametrize("penalty", [priors.l2, priors.total_variation])
def test_gradient_by_finite_differences(penalty):
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


def test_random_shift_rolls_within_its_limit():
    values = np.arange(2 * 3 * 7 * 9, dtype="float32").reshape(2, 3, 7, 9)
    random, seen = np.random.default_rng(0), set()
    for _ in range(200):
        rolled = priors.random_shift(paddle.to_tensor(values), 2, random).numpy()
        ((down, right),) = np.argwhere(rolled[0, 0] == 0)
        down, right = down - 7 * (down > 3), right - 9 * (right > 4)
        np.testing.assert_array_equal(rolled, np.roll(values, (down, right), (2, 3)))
        seen.add((down, right))
    assert seen == {(d, r) for d in range(-2, 3) for r in range(-2, 3)}


def test_no_shift_is_the_image_itself():
    images = paddle.ones([1, 3, 4, 4])
    assert priors.random_shift(images, 0, np.random.default_rng(0)) is images
