"""Measures of pictures that are known by algebra."""

import math

import numpy as np
import pytest

from visualize_pd.evaluate import contrast, saturation, spectrum_slope
from visualize_pd.evaluate.generated import luminance


def filled(*colours, side=32):
    """A picture with a column of each colour, all of the same width."""
    row = np.repeat(np.asarray(colours, "uint8"), side // len(colours), axis=0)
    return np.tile(row, (side, 1, 1))


BLACK, WHITE, RED = (0, 0, 0), (255, 255, 255), (255, 0, 0)
GREEN, BLUE, BROWN = (0, 255, 0), (0, 0, 255), (102, 51, 0)


def test_luminance_has_the_weights_of_bt709():
    found = luminance(filled(RED, GREEN, BLUE, WHITE))[0, ::8]
    assert found == pytest.approx([0.2126, 0.7152, 0.0722, 1])


def test_contrast_is_the_standard_deviation_of_the_luminance():
    assert contrast(filled(BROWN)) == pytest.approx(0)
    assert contrast(filled(BLACK, WHITE)) == pytest.approx(0.5)
    assert contrast(filled(BLACK, BLACK, BLACK, WHITE)) == pytest.approx(3**0.5 / 4)
    assert contrast(filled(BLACK, GREEN)) == pytest.approx(0.7152 / 2)


def test_saturation_is_the_largest_channel_minus_the_smallest():
    assert saturation(filled(RED)) == 1
    assert saturation(filled(BLACK, WHITE)) == 0
    assert saturation(filled(BROWN)) == pytest.approx(0.4)
    assert saturation(filled(RED, BLACK, BROWN, WHITE)) == pytest.approx(1.4 / 4)


def noise(amplitude, height, width, seed):
    """A grey picture with random phases, and an amplitude for each frequency in waves per pixel.

    It is a part of a larger picture, so it does not repeat.
    """
    size = (2 * height, 2 * width)
    spectrum = np.fft.fft2(np.random.default_rng(seed).standard_normal(size))
    waves = np.hypot(np.fft.fftfreq(size[0])[:, None], np.fft.fftfreq(size[1])[None])
    waves[0, 0] = 1
    shaped = spectrum / np.abs(spectrum) * amplitude(waves)
    values = np.fft.ifft2(shaped).real[:height, :width]
    grey = 128 + 40 * (values - values.mean()) / values.std()
    return np.repeat(np.clip(np.rint(grey), 0, 255).astype("uint8")[..., None], 3, axis=2)


def coloured_noise(exponent, side, seed):
    """A picture whose amplitudes are ∝ f^exponent."""
    return noise(lambda waves: waves**exponent, side, side, seed)


@pytest.mark.parametrize("exponent", [0, -1, -1.5])
def test_slope_of_the_spectrum_is_recovered(exponent):
    found = [spectrum_slope(coloured_noise(exponent, 224, seed)) for seed in range(3)]
    assert found == pytest.approx([exponent] * 3, abs=0.1)


def test_frequencies_are_those_of_the_shorter_side_in_both_directions():
    """The spectrum of smooth noise falls faster and faster, so its slope depends on the unit."""
    square, wide = (
        np.mean([spectrum_slope(noise(smooth, 64, width, seed)) for seed in range(4)])
        for width in (64, 192)
    )
    assert wide == pytest.approx(square, abs=0.2)
    tall = spectrum_slope(noise(smooth, 64, 192, 0).transpose(1, 0, 2))
    assert tall == pytest.approx(square, abs=0.3)


def smooth(waves):
    return np.exp(-((waves / 0.15) ** 2))


def test_edges_of_the_picture_are_no_high_frequencies():
    """Left and right of a ramp differ, and without a window that would be a slope of −1."""
    ramp = np.repeat(np.tile(np.arange(224, dtype="uint8"), (224, 1))[..., None], 3, axis=2)
    assert spectrum_slope(ramp) < -2


def test_picture_without_a_spectrum_has_no_slope():
    assert math.isnan(spectrum_slope(filled(RED)))
    assert math.isnan(spectrum_slope(coloured_noise(-1, 19, 0)))
    assert not math.isnan(spectrum_slope(coloured_noise(-1, 20, 0)))
