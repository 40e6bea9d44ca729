"""RISE: for each pixel, the mean score over the random masks that leave it visible."""

from __future__ import annotations

from typing import Any

import numpy as np
import paddle

from ...core.checks import check_count
from ...core.errors import ConfigError
from ...network.batching import MOST_VERSIONS, batches, repeat, versions_per_pass
from ...network.finite import passes_of_a_loop
from ...network.scores import Score, score_function

MOST_CELLS = 1_000


def rise(
    network: paddle.nn.Layer,
    images: paddle.Tensor,
    targets: Any = None,
    *,
    masks: int = 2000,
    cells: int = 7,
    keep: float = 0.5,
    seed: int = 0,
    batch_size: int | None = None,
    score: Score = "probability",
) -> paddle.Tensor:
    """1/(N·p) Σ S_c(I ⊙ M_i) · M_i over random soft masks (RISE, Petsiuk et al. 2018, equation 6).

    `[N, 1, H, W]`. In the equation, N = `masks` and p = `keep`. A mask starts as a grid of `cells`
    × `cells`, each open with probability p. It is enlarged with soft edges, and shifted. Hidden
    pixels get the training set's mean colour. All images get the same masks, so a batch gives what
    single images give.
    """
    check_count("masks", masks, 1, MOST_VERSIONS)
    check_count("cells", cells, 1, MOST_CELLS)
    check_count("seed", seed, 0)
    if isinstance(keep, bool) or not isinstance(keep, (int, float)) or not 0 < keep <= 1:
        raise ConfigError(f"keep must be a probability over 0, not {keep!r}")
    versions = versions_per_pass(network, images, batch_size)
    random = np.random.default_rng(seed)
    images = images.detach()
    with score_function(network) as score_of:
        _, chosen = score_of(images, targets, score)
        total = paddle.zeros([len(images), 1, *images.shape[2:]], dtype=images.dtype)
        with passes_of_a_loop():
            for part in batches(masks, versions, "hiding at random"):
                count = part.stop - part.start
                mask = random_masks(count, images.shape[2:], cells, keep, random)
                mask = mask.astype(images.dtype)
                hidden = paddle.concat(
                    [images * each.expand_as(images) for each in mask.split(count)]
                )
                scores, _ = score_of(hidden, repeat(chosen, count), score)
                for of_mask, one in zip(scores.reshape([count, -1, 1, 1, 1]), mask):
                    total += of_mask * one
    return total / (masks * keep)


def random_masks(
    count: int, shape: tuple[int, int], cells: int, keep: float, random: np.random.Generator
) -> paddle.Tensor:
    """Masks `[count, 1, H, W]` in [0, 1]: enlarged grids, each shifted by less than a cell."""
    height, width = shape
    cell_height, cell_width = -(-height // cells), -(-width // cells)
    grids, corners = [], []
    for _ in range(count):  # one by one, so that the masks do not depend on the batch size
        grids.append(random.random((1, cells, cells)) < keep)
        corners.append((random.integers(cell_height), random.integers(cell_width)))
    soft = paddle.nn.functional.interpolate(
        paddle.to_tensor(np.stack(grids).astype("float32")),
        size=[(cells + 1) * cell_height, (cells + 1) * cell_width],
        mode="bilinear",
    )
    return paddle.stack(
        [one[:, y : y + height, x : x + width] for one, (y, x) in zip(soft, corners)]
    )
