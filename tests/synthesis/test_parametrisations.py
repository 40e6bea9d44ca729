"""The two parametrisations: pixels, and the Fourier spectrum of decorrelated colours."""

import numpy as np
import paddle
import pytest

from visualize_pd.core.images import IMAGENET_MEAN, IMAGENET_STD
from visualize_pd.synthesis.parametrisations import COLOURS, Fourier, Pixels

SHAPES = [(2, 3, 8, 8), (1, 3, 5, 7), (1, 3, 6, 9), (2, 1, 9, 6)]


def statistics(channels):
    return (IMAGENET_MEAN, IMAGENET_STD) if channels == 3 else ([0.4], [0.3])


def photograph(shape, seed=0):
    """Random normalised pixels, except for colours at the very ends of the range."""
    mean, std = (np.reshape(each, (1, -1, 1, 1)) for each in statistics(shape[1]))
    shares = np.random.default_rng(seed).uniform(0.01, 0.99, shape)
    return paddle.to_tensor(((shares - mean) / std).astype("float32"))


@pytest.mark.parametrize("decay", [0, 1, 1.5])
@pytest.mark.parametrize("shape", SHAPES)
def test_spectrum_starts_at_the_given_image(shape, decay):
    start = photograph(shape)
    canvas = Fourier(start, *statistics(shape[1]), decay=decay)
    np.testing.assert_allclose(canvas.image().numpy(), start.numpy(), atol=1e-4)


def test_pixels_start_at_the_given_image():
    start = photograph((2, 3, 5, 7))
    np.testing.assert_array_equal(Pixels(start).image().numpy(), start.numpy())


def test_image_of_one_wave_by_hand():
    """A cosine of two periods from top to bottom: sigmoid(amplitude × scale × cosine)."""
    canvas = Fourier(paddle.zeros([1, 1, 8, 6]), [0.5], [1.0], decay=1, lowest=1)
    spectrum = np.zeros((1, 1, 8, 4, 2), dtype="float32")
    spectrum[0, 0, 2, 0, 0] = spectrum[0, 0, 6, 0, 0] = 0.5
    canvas.variable.set_value(spectrum)
    rows = np.arange(8).reshape(8, 1)
    wave = np.cos(2 * np.pi * 2 * rows / 8) * (8 / 2) / np.sqrt(8 * 6) * np.ones((8, 6))
    expected = 1 / (1 + np.exp(-wave)) - 0.5
    np.testing.assert_allclose(canvas.image().numpy()[0, 0], expected, atol=1e-6)


def test_every_pixel_stays_in_the_range_of_a_screen():
    canvas = Fourier(photograph((1, 3, 8, 8)))
    canvas.variable.set_value(canvas.variable * 1e3)
    shares = canvas.image().numpy() * np.reshape(IMAGENET_STD, (3, 1, 1)) + np.reshape(
        IMAGENET_MEAN, (3, 1, 1)
    )
    assert shares.min() > -1e-6 and shares.max() < 1 + 1e-6


def test_colours_out_of_range_are_clipped_at_the_start():
    start = paddle.to_tensor(np.full((1, 3, 4, 4), 9.0, dtype="float32"))
    shares = Fourier(start).image().numpy()[0, :, 0, 0] * IMAGENET_STD + IMAGENET_MEAN
    np.testing.assert_allclose(shares, 0.999, atol=1e-4)


@pytest.mark.parametrize("shape", SHAPES)
def test_gradient_equals_finite_differences(shape):
    canvas = Fourier(photograph(shape), *statistics(shape[1]))
    direction = np.random.default_rng(1).standard_normal(shape, dtype="float32")
    (gradient,) = paddle.grad((canvas.image() * paddle.to_tensor(direction)).sum(), canvas.variable)
    values, step = canvas.variable.numpy().copy(), 1e-2
    random = np.random.default_rng(2)
    for _ in range(5):
        at = tuple(int(random.integers(size)) for size in values.shape)
        ends = []
        for side in (step, -step):
            moved = values.copy()
            moved[at] += side
            canvas.variable.set_value(moved)
            ends.append(float((canvas.image().numpy().astype("float64") * direction).sum()))
        slope = (ends[0] - ends[1]) / (2 * step)
        assert gradient.numpy()[at] == pytest.approx(slope, rel=2e-2, abs=2e-2)


def test_colour_directions_are_linearly_independent():
    assert abs(np.linalg.det(COLOURS)) > 1e-3
    np.testing.assert_allclose(np.linalg.norm(COLOURS, axis=0).max(), 1)


def test_lowest_frequency_by_hand():
    """The constant part counts as two waves (`lowest`) over the longer side of 7 pixels."""
    canvas = Fourier(paddle.zeros([1, 3, 5, 7]), [0.5] * 3, [0.25] * 3, decay=1.5, lowest=2)
    spectrum = np.zeros((1, 3, 5, 4, 2), dtype="float32")
    spectrum[0, 0, 0, 0, 0] = 0.3
    canvas.variable.set_value(spectrum)
    brightness = 0.3 * (7 / 2) ** 1.5 / np.sqrt(5 * 7)
    expected = (1 / (1 + np.exp(-brightness * COLOURS[:, 0])) - 0.5) / 0.25
    found = canvas.image().numpy()[0]
    np.testing.assert_allclose(found, np.tile(expected[:, None, None], (1, 5, 7)), atol=1e-5)
