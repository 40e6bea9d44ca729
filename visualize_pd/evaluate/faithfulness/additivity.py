"""Does the sum of a map over some pixels tell what the score loses without them?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import paddle

from ...attribution.baselines import make_baseline
from ...core.checks import check_count
from ...network.batching import MOST_VERSIONS, batches, repeat
from ...network.scores import Score, check_images, score_function
from ..maps import Maps, check_shares, planes_of


def infidelity(
    network: paddle.nn.Layer,
    images: paddle.Tensor,
    maps: Maps,
    targets: Any = None,
    *,
    samples: int = 100,
    baseline: str | paddle.Tensor = "zero",
    scaled: bool = True,
    score: Score = "logit",
    seed: int = 0,
    batch_size: int = 32,
) -> np.ndarray:
    """Infidelity, `[N]`: how wrongly a map predicts drops of the score (Yeh et al. 2019, 2.1).

    E[(β Σ map over a square − (S_c(I) − S_c(I without the square)))²]; lower is better. The
    `samples` squares have random sizes and places, and get the values of the `baseline`. The sum of
    the map is the paper's I·Φ. So a map must hold shares of the score, as occlusion, gradient ×
    input and CAMs do. Multiply a gradient by `images − baseline` first. If `scaled`, β ≥ 0 is the
    factor that fits each image's map best, since maps have different units. Otherwise β = 1.
    """
    check_count("samples", samples, 1, MOST_VERSIONS)
    check_count("seed", seed, 0)
    check_images(images)
    planes, fill = planes_of(maps, images), make_baseline(baseline, images).numpy()
    height, width = planes.shape[1:]
    random = np.random.default_rng(seed)
    hidden = np.zeros((samples, height, width), dtype=bool)
    for one in hidden:
        side = random.integers(1, max(1, min(height, width) // 2) + 1)
        top, left = random.integers(height - side + 1), random.integers(width - side + 1)
        one[top : top + side, left : left + side] = True
    told = np.einsum("shw,nhw->ns", hidden, planes, dtype="float64")
    found = _lost(network, images, fill, hidden, targets, score, batch_size)
    factors = np.ones(len(images))
    if scaled:
        sizes = (told**2).sum(axis=1)
        factors = np.maximum(0, (told * found).sum(axis=1)) / np.where(sizes > 0, sizes, 1)
    return ((factors[:, None] * told - found) ** 2).mean(axis=1)


def sensitivity_n(
    network: paddle.nn.Layer,
    images: paddle.Tensor,
    maps: Maps,
    targets: Any = None,
    *,
    shares: Sequence[float] = (0.01, 0.1, 0.5),
    samples: int = 100,
    baseline: str | paddle.Tensor = "zero",
    score: Score = "logit",
    seed: int = 0,
    batch_size: int = 32,
) -> np.ndarray:
    """Sensitivity-n: does the map correlate with drops of the score? (Ancona et al. 2018).

    `[N, len(shares)]`: for each n Pearson's correlation, over `samples` random sets of n pixels, of
    the sum of the map over the set with S_c(I) − S_c(I without the set). Higher is better, and 1
    for the contributions of a linear score. n is one of the `shares` of the pixels, but at least
    one pixel. A removed pixel takes the value of the `baseline`. The correlation is 0 if the sums
    or the drops do not vary. The unit of a map does not matter, but its sign does. Raises a
    `VisualizeError` for maps that do not fit the images, and for wrong options.
    """
    check_count("samples", samples, 2, MOST_VERSIONS)
    check_count("seed", seed, 0)
    check_shares(shares)
    check_images(images)
    planes, fill = planes_of(maps, images), make_baseline(baseline, images).numpy()
    height, width = planes.shape[1:]
    random = np.random.default_rng(seed)
    found = np.empty((len(images), len(shares)))
    for place, share in enumerate(shares):
        hidden = np.zeros((samples, height * width), dtype=bool)
        size = max(1, round(share * height * width))
        for one in hidden:
            one[random.choice(one.size, size, replace=False)] = True
        hidden = hidden.reshape(samples, height, width)
        told = np.einsum("shw,nhw->ns", hidden, planes, dtype="float64")
        lost = _lost(network, images, fill, hidden, targets, score, batch_size)
        found[:, place] = _correlations(told, lost)
    return found


def completeness(
    network: paddle.nn.Layer,
    images: paddle.Tensor,
    maps: Maps,
    targets: Any = None,
    *,
    baseline: str | paddle.Tensor = "zero",
    score: Score = "logit",
    batch_size: int = 32,
) -> np.ndarray:
    """The completeness gap Σ map − (S_c(I) − S_c(I′)), `[N]` (Sundararajan et al. 2017, section 3).

    0 if the map shares out the whole difference to the baseline I′. The sum is over all channels
    and pixels. `baseline` and `score` must be those that the map was made with. Raises a
    `VisualizeError` for maps that do not fit the images, and for wrong options.
    """
    check_images(images)
    sums = planes_of(maps, images).sum(axis=(1, 2), dtype="float64")
    fill = make_baseline(baseline, images).numpy()
    everything = np.ones((1, *images.shape[2:]), dtype=bool)
    return sums - _lost(network, images, fill, everything, targets, score, batch_size)[:, 0]


def _lost(
    network: paddle.nn.Layer,
    images: paddle.Tensor,
    fill: np.ndarray,
    hidden: np.ndarray,
    targets: Any,
    score: Score,
    batch_size: int,
) -> np.ndarray:
    """What the score of each image loses without each set of pixels `hidden`, `[N, sets]`."""
    pixels, lost = images.numpy(), np.empty((len(images), len(hidden)))
    with score_function(network) as score_of:
        scores, chosen = score_of(images, targets, score)
        for n in range(len(images)):
            for part in batches(len(hidden), batch_size, "hiding pixels"):
                mixed = np.where(hidden[part][:, None], fill[n], pixels[n])
                each = repeat(chosen[n : n + 1], len(mixed))
                left_over = score_of(paddle.to_tensor(mixed), each, score)[0].numpy()
                lost[n, part] = float(scores[n]) - left_over
    return lost


def _correlations(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Pearson's correlation of each row with its partner, `[N]`; 0 for a row without variation."""
    x, y = (each - each.mean(axis=1, keepdims=True) for each in (first, second))
    size = np.sqrt((x**2).sum(axis=1) * (y**2).sum(axis=1))
    return (x * y).sum(axis=1) / np.where(size > 0, size, np.inf)
