"""The parametrisations: pixels, the Fourier spectrum, phases of waves, and a pyramid of images."""

import numpy as np
import paddle
import pytest

from visualize_pd.core.images import IMAGENET_MEAN, IMAGENET_STD
from visualize_pd.synthesis.parametrisations import Fourier, Phases, Pixels, Pyramid
from visualize_pd.synthesis.parametrisations.colours import COLOURS
from visualize_pd.synthesis.parametrisations.fourier import frequencies
from visualize_pd.synthesis.parametrisations.phases import strengths
from visualize_pd.synthesis.parametrisations.pyramid import levels, resizing
from visualize_pd.synthesis.settings import Growth

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


@pytest.mark.parametrize("kind", [Fourier, Phases, Pyramid])
@pytest.mark.parametrize("shape", SHAPES)
def test_gradient_equals_finite_differences(kind, shape):
    growth = Growth(contrast=1.7, colours=0.6)
    canvas = kind(photograph(shape), *statistics(shape[1]), growth=growth)
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


def spectrum_of(canvas):
    """The Fourier spectrum of the decorrelated colours of an image."""
    return np.fft.rfft2(canvas.colours.plain(canvas.image()), norm="ortho")


@pytest.mark.parametrize("shape", [(2, 3, 8, 8), (1, 3, 7, 9), (2, 1, 9, 6)])
def test_phases_have_the_strengths_of_photographs_and_the_places_of_the_start(shape):
    start = photograph(shape)
    canvas = Phases(start, *statistics(shape[1]), contrast=0.5)
    found, size = spectrum_of(canvas), shape[2:]
    expected = np.tile(0.5 * strengths(size), (*shape[:2], 1, 1))
    np.testing.assert_allclose(np.abs(found), expected, atol=2e-3)
    began = np.fft.rfft2(canvas.colours.plain(start))
    inside = expected > 1e-2
    turned = np.angle(found / began)[inside]
    np.testing.assert_allclose(turned, 0, atol=2e-2)


@pytest.mark.parametrize("size", [(8, 8), (7, 9), (224, 160)])
def test_strengths_by_hand(size):
    """f waves over the longer side are f · 512 / side waves over 512 pixels; there is no mean."""
    found = strengths(size)
    waves = frequencies(size) * 512 / max(size)
    assert found[0, 0] == 0
    ratio = found[0, 1] / found[0, 2]
    a, b = waves[0, 1], waves[0, 2]
    assert ratio == pytest.approx((a / b) ** -1.15 * np.exp((b**2 - a**2) / 140**2))
    plain = np.fft.irfft2(found * np.exp(1j * _random_phases(size)), s=size, norm="ortho")
    assert plain.std() == pytest.approx(1, rel=1e-6)


def _random_phases(size):
    """The phases of a real image."""
    return np.angle(np.fft.rfft2(np.random.default_rng(0).normal(size=size)))


@pytest.mark.parametrize("shape", SHAPES)
def test_pyramid_starts_at_the_given_image(shape):
    start = photograph(shape)
    canvas = Pyramid(start, *statistics(shape[1]))
    np.testing.assert_allclose(canvas.image().numpy(), start.numpy(), atol=1e-4)


def test_levels_of_a_pyramid_by_hand():
    assert levels((12, 5)) == [(12, 5), (6, 2), (3, 1), (1, 1)]
    assert levels((1, 1)) == [(1, 1)]


def test_the_smallest_level_changes_all_pixels_alike():
    canvas = Pyramid(paddle.zeros([1, 1, 6, 8]), [0.5], [1.0])
    values = canvas.variable.numpy().copy()
    values[0, 0, -1] = 0.7
    canvas.variable.set_value(values)
    np.testing.assert_allclose(canvas.image().numpy(), 1 / (1 + np.exp(-0.7)) - 0.5, atol=1e-6)


def test_enlarging_and_reducing_by_hand():
    """A cubic kernel keeps constants, and away from the edges it keeps straight lines."""
    for before, after in ((3, 7), (7, 3), (4, 4), (1, 5), (56, 224)):
        np.testing.assert_allclose(resizing(before, after).sum(axis=1), 1)
    np.testing.assert_allclose(resizing(4, 4), np.eye(4), atol=1e-12)
    line = resizing(8, 16) @ np.arange(8.0)
    np.testing.assert_allclose(line[4:-4], (np.arange(16) + 0.5)[4:-4] / 2 - 0.5, atol=1e-9)
    stripes = resizing(48, 16) @ (np.arange(48) % 2)  # a third of the size: their mean
    np.testing.assert_allclose(stripes[2:-2], 0.5, atol=0.06)
    # By hand: a pixel at a distance of 0.25 counts 1.5/64 − 2.5/16 + 1.
    assert resizing(8, 16)[8, 4] == pytest.approx(1.5 / 64 - 2.5 / 16 + 1)


@pytest.mark.parametrize("kind", [Phases, Pyramid, Pixels])
def test_a_small_image_shows_the_same_picture(kind):
    """Waves that are longer than the pixels of both sizes look the same at both."""
    y, x = np.mgrid[:48, :64]
    plane = 0.5 + 0.3 * np.cos(2 * np.pi * (y / 48 + x / 64))
    start = np.stack([plane, 1 - plane, plane])[None].astype("float32")
    options = {} if kind is Pixels else {"mean": (0, 0, 0), "std": (1, 1, 1)}
    canvas = kind(paddle.to_tensor(start), growth=Growth([32], 0.5), **options)
    whole, small = canvas.image().numpy(), canvas.image(0.0).numpy()
    means = whole.reshape(1, 3, 24, 2, 32, 2).mean(axis=(3, 5))
    # Sampled spectra show the picture at the first pixel of each pair, and not at its middle.
    expected = whole[:, :, ::2, ::2] if kind is Phases else means
    assert np.abs(small - expected)[:, :, 2:-2, 2:-2].max() < (0.05 if kind is Phases else 0.02)
    assert expected.std() > 0.1
