"""XRAI: integrated gradients, added up over regions."""

from __future__ import annotations

from math import isqrt
from typing import Any

import numpy as np
import paddle

from ...network.scores import Score
from ..path.integrated_gradients import integrated_gradients
from .segments import segment_often, sidelength

DILATION = 5  # pixels by which a segment grows, on an image of 224 × 224
FEWEST = 50  # new pixels that a segment must add, on an image of 224 × 224


def xrai(
    network: paddle.nn.Layer,
    images: paddle.Tensor,
    targets: Any = None,
    *,
    segments: str | paddle.Tensor = "felzenszwalb",
    baseline: str | paddle.Tensor | None = None,
    steps: int = 50,
    batch_size: int | None = None,
    score: Score = "logit",
) -> paddle.Tensor:
    """Regions in the order of their mean attribution (Kapishnikov et al. 2019, algorithm 1).

    `[N, 1, H, W]`, signed. The attribution of a pixel is the largest channel of integrated
    gradients. Overlapping segments are taken one after another: always the one with the largest
    mean over the pixels that no segment before has taken. These pixels get that mean. `segments`:
    felzenszwalb (scikit-image, at six scales, each segment grown by 5 pixels on an image of 224 ×
    224), grid (of five sizes, grown too), or a tensor of whole numbers `[N, H, W]`. `baseline`: by
    default the mean over two, the lowest value of each channel (black) and the highest one (white);
    or one, as for integrated gradients. `steps`: points on the path from each baseline.
    `batch_size`: points in one pass. Raises `ConfigError` without scikit-image.
    """
    labels = segment_often(images, segments)
    images = images.detach()
    starts: list = [baseline]
    if baseline is None:
        extremes = (f(images, axis=[2, 3], keepdim=True) for f in (paddle.min, paddle.max))
        starts = [extreme.expand_as(images) for extreme in extremes]
    options: dict = {"steps": steps, "batch_size": batch_size, "score": score}
    total = np.zeros(tuple(images.shape))
    for start in starts:
        one: Any = integrated_gradients(network, images, targets, baseline=start, **options)
        total += one.numpy()
    attributions = total.max(axis=1) / len(starts)
    unit = sidelength(tuple(images.shape[2:]))
    radius = 0 if isinstance(segments, paddle.Tensor) else round(DILATION * unit)
    fewest = max(1, round(FEWEST * unit**2))
    maps = [
        region_map(each, regions_of(cuts, radius), fewest)
        for each, cuts in zip(attributions, labels)
    ]
    return paddle.to_tensor(np.stack(maps)[:, None]).astype(images.dtype)


def region_map(attribution: np.ndarray, regions: list[np.ndarray], fewest: int) -> np.ndarray:
    """The mean attribution `[H, W]` of the pixels with which each region was taken.

    `regions`: flat indices of pixels. A region that would add fewer than `fewest` is left out. The
    pixels that no region has taken have their own mean.
    """
    values = attribution.ravel()
    result, free = np.zeros(values.shape), np.ones(values.shape, dtype=bool)
    areas = np.array([len(each) for each in regions])
    sums = np.array([values[each].sum() for each in regions])
    # Which regions have a pixel: `counts` of them, from `starts` in `owners`.
    pixels = np.concatenate(regions)
    owners = np.repeat(np.arange(len(regions)), areas)[np.argsort(pixels, kind="stable")]
    counts = np.bincount(pixels, minlength=len(values))
    starts = counts.cumsum() - counts
    while areas.max() >= fewest:
        best = np.where(areas >= fewest, sums / np.maximum(areas, 1), -np.inf).argmax()
        new = regions[best][free[regions[best]]]
        result[new], free[new] = values[new].mean(), False
        times = counts[new]
        within = np.arange(times.sum()) - np.repeat(times.cumsum() - times, times)
        losers = owners[np.repeat(starts[new], times) + within]
        areas -= np.bincount(losers, minlength=len(regions))
        sums -= np.bincount(losers, np.repeat(values[new], times), len(regions))
    if free.any():
        result[free] = values[free].mean()
    return result.reshape(attribution.shape)


def regions_of(labels: np.ndarray, radius: int) -> list[np.ndarray]:
    """The flat indices of the pixels of each segment of some segmentations `[cuts, H, W]`.

    Those of all pixels at most `radius` from a segment belong to it.
    """
    return [
        _grown(pixels, one.shape, radius)
        for one in labels
        for pixels in np.split(
            np.argsort(one, axis=None, kind="stable"), np.bincount(one.ravel()).cumsum()[:-1]
        )
    ]


def _grown(pixels: np.ndarray, shape: tuple[int, ...], radius: int) -> np.ndarray:
    rows, columns = np.divmod(pixels, shape[1])
    top, left = max(0, rows.min() - radius), max(0, columns.min() - radius)
    height = min(shape[0], rows.max() + radius + 1) - top
    width = min(shape[1], columns.max() + radius + 1) - left
    box = np.zeros((height, width), dtype=bool)
    box[rows - top, columns - left] = True
    counts = np.pad(box, radius).cumsum(axis=1)
    counts = np.pad(counts, ((0, 0), (1, 0)))  # of the pixels before each one, in its row
    near = np.zeros_like(box)
    for y in range(2 * radius + 1):
        half = isqrt(radius**2 - (y - radius) ** 2)
        first, last = radius - half, radius + half + 1
        in_row = counts[y : y + height]
        near |= in_row[:, last : last + width] > in_row[:, first : first + width]
    rows, columns = np.nonzero(near)
    return (rows + top) * shape[1] + columns + left
