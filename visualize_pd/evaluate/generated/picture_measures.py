"""Measures of a picture alone, without a network: contrast, saturation, slope of the spectrum."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

LUMINANCE = (0.2126, 0.7152, 0.0722)  # of red, green and blue (ITU-R BT.709)
LOWEST = 4  # waves per side; the window blurs what is lower
HIGHEST = 0.25  # waves per pixel, half of the Nyquist frequency
LEAST_CONTRAST = 1e-6  # less is rounding


def luminance(picture: np.ndarray) -> np.ndarray:
    """The luminance of each pixel, 0.2126 R + 0.7152 G + 0.0722 B (ITU-R BT.709), from 0 to 1.

    `picture`: `[H, W, 3]` uint8. The result is `[H, W]`. The values of a screen are taken as they
    are, without making them linear in light.
    """
    return picture @ np.asarray(LUMINANCE) / 255


def contrast(picture: np.ndarray) -> float:
    """The RMS contrast (Peli 1990): the standard deviation of the luminance, from 0 to 0.5.

    `picture`: `[H, W, 3]` uint8.
    """
    return float(luminance(picture).std())


def saturation(picture: np.ndarray) -> float:
    """The mean over the pixels of max(R, G, B) − min(R, G, B), from 0 to 1.

    This is the chroma of the HSV model. Its saturation, which divides by the maximum, would be
    large in dark pixels that look black. `picture`: `[H, W, 3]` uint8.
    """
    return float(np.mean((picture.max(axis=2) - picture.min(axis=2)) / 255))


def spectrum_slope(picture: np.ndarray) -> float:
    """The exponent a of the amplitude spectrum ∝ f^a of the luminance (Field 1987).

    The amplitudes are averaged over rings one wave wide. A least-squares line is fitted to their
    logarithms over log f, from 4 waves per shorter side to half of the Nyquist frequency. A Hann
    window takes the edges away, which would look like high frequencies. Photographs have −1 to
    −1.5, white noise has 0. `picture`: `[H, W, 3]` uint8. The result is NaN for a picture of one
    colour, and for one with a side of less than 20 pixels.
    """
    values = luminance(picture)
    height, width = values.shape
    side = min(height, width)
    waves = np.arange(LOWEST, int(HIGHEST * side) + 1)
    if len(waves) < 2 or values.std() < LEAST_CONTRAST:
        return float("nan")
    window = np.outer(_hann(height), _hann(width))
    amplitudes = np.abs(np.fft.fft2((values - values.mean()) * window))
    down, across = np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None]
    rings = np.rint(np.hypot(down, across) * side).astype(int).ravel()
    means = np.bincount(rings, amplitudes.ravel())[waves] / np.bincount(rings)[waves]
    return float(np.polyfit(np.log(waves), np.log(means), 1)[0])


def _hann(length: int) -> np.ndarray:
    return np.hanning(length + 2)[1:-1]


PICTURE_MEASURES: dict[str, Callable[[np.ndarray], float]] = {
    "contrast": contrast,
    "saturation": saturation,
    "slope": spectrum_slope,
}
