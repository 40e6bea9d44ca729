"""Is a map simple? These measures look at the map alone."""

from __future__ import annotations

import numpy as np

from .maps import Maps, planes


def sparseness(maps: Maps) -> np.ndarray:
    """The Gini index of the sizes of a map's pixels, `[N]` (Chalasani et al. 2020).

    0 if all pixels are equal, and 1 − 1/d if only one of the d pixels is not 0; a concise map has a
    high one. `maps`: `[N, C, H, W]`, summed over channels. NaN for a map of zeros. Raises
    `ImageError` for maps of another shape or that are not finite.
    """
    sizes = np.sort(_sizes(maps), axis=1)
    count = sizes.shape[1]
    factors = 2 * np.arange(1, count + 1) - count - 1
    return _over(sizes @ factors, count * sizes.sum(axis=1))


def complexity(maps: Maps) -> np.ndarray:
    """The entropy of a map's shares −Σ p ln p, `[N]` (Bhatt et al. 2020).

    p is the share that a pixel has in the sum of the sizes. 0 if only one pixel is not 0, and ln d
    if all d pixels are equal; a map that is easy to read has a low one. Everything else is as for
    `sparseness`.
    """
    sizes = _sizes(maps)
    shares = _over(sizes, sizes.sum(axis=1, keepdims=True))
    logarithms = np.log(shares, out=np.zeros_like(shares), where=shares > 0)
    return -np.where(np.isnan(shares), shares, shares * logarithms).sum(axis=1)


def _sizes(maps: Maps) -> np.ndarray:
    summed = planes(maps)
    return np.abs(summed).reshape(len(summed), -1)


def _over(numbers: np.ndarray, totals: np.ndarray) -> np.ndarray:
    """The quotient, NaN where the total is 0."""
    return np.divide(numbers, np.where(totals > 0, totals, np.nan))
