"""Scores of images of which the cells of a grid are visible to some degree."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any

import numpy as np
import paddle

from ...core.checks import check_count
from ...core.errors import ConfigError
from ...network.batching import batches, repeat, versions_per_pass
from ...network.finite import passes_of_a_loop
from ...network.scores import Score, check_images, score_function
from ..baselines import make_baseline


def check_cells(cells: int | None, usual: int, images: paddle.Tensor) -> int:
    """The cells on a side of the grid: `cells`, or as usual, but no more than there are pixels."""
    check_images(images)
    side = min(images.shape[2:])
    if cells is None:
        return min(usual, side)
    check_count("cells", cells)
    if cells > side:
        raise ConfigError(
            f"{cells:,} cells are more than the {side:,} pixels of a side of an image"
        )
    return cells


def latin_hypercube(samples: int, columns: int, random: np.random.Generator) -> np.ndarray:
    """Numbers `[samples, columns]` in [0, 1): each column has one in each of `samples` equal parts.

    McKay et al. 1979.
    """
    places = random.permuted(np.tile(np.arange(samples), (columns, 1)), axis=1)
    return ((places + random.random(places.shape)) / samples).T


def scores_of_masks(
    network: paddle.nn.Layer,
    images: paddle.Tensor,
    targets: Any,
    masks: Iterable[np.ndarray],
    count: int,
    *,
    baseline: str | paddle.Tensor,
    batch_size: int | None,
    score: Score,
) -> np.ndarray:
    """The scores `[N, count]` of all images under each of the first `count` masks.

    A mask is `[cells, cells]`: 1 shows a cell, and 0 shows the baseline in its place.
    """
    versions = versions_per_pass(network, images, batch_size)
    images = images.detach()
    fill = make_baseline(baseline, images)
    height, width = images.shape[2:]
    found = []
    masks = iter(masks)
    with score_function(network) as score_of:
        _, chosen = score_of(images, targets, score)
        with passes_of_a_loop():
            for part in batches(count, versions, "hiding cells"):
                some = np.stack(list(islice(masks, part.stop - part.start)))
                cells = some.shape[1]
                rows, columns = (np.arange(size) * cells // size for size in (height, width))
                enlarged = some[:, None, None, rows[:, None], columns].astype("float32")
                mask = paddle.to_tensor(enlarged).astype(images.dtype)
                hidden = (images * mask + fill * (1 - mask)).reshape([-1, *images.shape[1:]])
                found.append(score_of(hidden, repeat(chosen, len(some)), score)[0])
    scores = paddle.concat(found).numpy().astype("float64")
    return np.ascontiguousarray(scores.reshape(count, -1).T)


def map_of_cells(values: np.ndarray, images: paddle.Tensor) -> paddle.Tensor:
    """The map `[N, 1, H, W]` of the values of cells, `[N, cells²]`, bilinear in between."""
    cells = round(values.shape[1] ** 0.5)
    grid = paddle.to_tensor(values.reshape(-1, 1, cells, cells)).astype(images.dtype)
    size = [int(side) for side in images.shape[2:]]
    return paddle.nn.functional.interpolate(grid, size=size, mode="bilinear")
