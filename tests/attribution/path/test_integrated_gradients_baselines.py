"""The baselines of integrated gradients: zero, mean, blurred, random, and tensors."""

import numpy as np
import paddle
import pytest
from fills import FILLS
from integral_toys import TARGETS, Power, W, assert_exact
from toys import Quadratic, images

from visualize_pd import integrated_gradients
from visualize_pd.attribution.baselines import blurred, make_baseline, uniform


def integral_of_quadratic(x, b):
    """The integrated gradients of ½ Σ w x² from the baseline b: ½ w (x² − b²)."""
    return W[TARGETS].astype("float64") * (x.astype("float64") ** 2 - b.astype("float64") ** 2) / 2


def by_hand(baseline, x):
    return np.stack([FILLS[baseline](image) for image in x])


@pytest.mark.parametrize("baseline", FILLS)
def test_named_baselines(baseline):
    batch = images() + 0.5
    x = batch.numpy()
    maps = integrated_gradients(Quadratic(W), batch, TARGETS, baseline=baseline, steps=2).numpy()
    assert_exact(maps, integral_of_quadratic(x, by_hand(baseline, x)))
    assert_exact(make_baseline(baseline, batch).numpy(), by_hand(baseline, x))


def test_baseline_is_zero_by_default():
    batch = images()
    maps = integrated_gradients(Quadratic(W), batch, TARGETS).numpy()
    assert_exact(maps, integral_of_quadratic(batch.numpy(), np.zeros_like(batch.numpy())))


@pytest.mark.parametrize("shape", [(12, 20), (20, 12), (1, 9), (40, 3)])
def test_blur_of_any_image_size(shape):
    batch = images(2, *shape)
    assert_exact(blurred(batch).numpy(), by_hand("blurred", batch.numpy().astype("float64")))


@pytest.mark.parametrize("baseline", ["mean", "blurred"])
def test_mean_and_blur_of_a_constant_image_are_the_image(baseline):
    colours = paddle.to_tensor([0.25, -2, 7]).reshape([1, 3, 1, 1]).expand([2, 3, 20, 12])
    np.testing.assert_allclose(make_baseline(baseline, colours).numpy(), colours.numpy(), rtol=1e-6)


@pytest.mark.parametrize("count", [1, 2])
def test_tensor_as_baseline(count):
    """One baseline for all images, or one for each image."""
    batch, start = images(), images(count, seed=8)
    maps = integrated_gradients(Quadratic(W), batch, TARGETS, baseline=start, steps=2).numpy()
    assert_exact(maps, integral_of_quadratic(batch.numpy(), start.numpy()))


def test_baseline_in_float64_with_gradients():
    batch, start = images(), images(1, seed=8)
    expected = integrated_gradients(Quadratic(W), batch, TARGETS, baseline=start).numpy()
    wide = start.astype("float64")
    wide.stop_gradient = False
    maps = integrated_gradients(Quadratic(W), batch, TARGETS, baseline=wide)
    np.testing.assert_array_equal(maps.numpy(), expected)
    assert maps.stop_gradient and wide.grad is None and not wide.stop_gradient


def test_image_as_its_own_baseline():
    batch = images()
    maps, gap = integrated_gradients(Quadratic(W), batch, TARGETS, baseline=batch, return_gap=True)
    assert not maps.numpy().any() and not gap.numpy().any()


def test_uniform_noise_lies_in_the_range_of_each_channel():
    batch = images() * 3 + 1
    noise = np.random.default_rng(6).random(batch.shape[1:], dtype="float32")
    expected = np.zeros(batch.shape)
    for i, image in enumerate(batch.numpy().astype("float64")):
        for c, channel in enumerate(image):
            expected[i, c] = channel.min() + noise[c] * (channel.max() - channel.min())
    assert_exact(uniform(batch, np.random.default_rng(6)).numpy(), expected)


@pytest.mark.parametrize("options", [{}, {"draws": 1}, {"draws": 3, "seed": 4}])
def test_random_baseline_averages_over_its_draws(options):
    network, batch = Power(W, 3), images()
    random = np.random.default_rng(options.get("seed", 0))
    runs = [
        integrated_gradients(
            *(network, batch, TARGETS), baseline=uniform(batch, random), steps=1, return_gap=True
        )
        for _ in range(options.get("draws", 5))
    ]
    maps, gap = integrated_gradients(
        *(network, batch, TARGETS), baseline="random", steps=1, return_gap=True, **options
    )
    assert_exact(maps.numpy(), np.mean([run[0].numpy() for run in runs], axis=0))
    np.testing.assert_allclose(
        gap.numpy(), np.mean([run[1].numpy() for run in runs], axis=0), rtol=1e-4, atol=1e-4
    )


def test_seed_changes_only_random_baselines():
    network, batch = Quadratic(W), images()

    def maps(baseline, seed):
        options = {"baseline": baseline, "seed": seed, "steps": 2}
        return integrated_gradients(network, batch, TARGETS, **options).numpy()

    np.testing.assert_array_equal(maps("random", 4), maps("random", 4))
    assert np.abs(maps("random", 4) - maps("random", 5)).max() > 0.01
    np.testing.assert_array_equal(maps("blurred", 4), maps("blurred", 5))
