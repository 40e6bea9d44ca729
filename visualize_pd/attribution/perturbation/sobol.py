"""Total Sobol indices: how much of the variance of the score needs each cell of a grid."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import paddle

from ...core.checks import check_count
from ...network.batching import MOST_VERSIONS
from ...network.scores import Score
from .grid import check_cells, latin_hypercube, map_of_cells, scores_of_masks


def sobol(
    network: paddle.nn.Layer,
    images: paddle.Tensor,
    targets: Any = None,
    *,
    cells: int | None = None,
    samples: int = 16,
    baseline: str | paddle.Tensor = "zero",
    seed: int = 0,
    batch_size: int | None = None,
    score: Score = "logit",
) -> paddle.Tensor:
    """Total Sobol indices of the cells of a mask (Fel et al. 2021, by Jansen's estimator).

    `[N, 1, H, W]`, not negative: the share of the variance of S_c that would be left if only this
    cell were not fixed. A mask has `cells` × `cells` numbers from 0, the baseline, to 1, the image;
    by default 8 × 8. A_j and B_j are the rows of a Latin hypercube, and A_j^i is A_j with number i
    of B_j. The index of cell i is Σ_j (S_c(A_j) − S_c(A_j^i))² / (2 · `samples` · Var S_c(A)). That
    takes `samples` · (`cells`² + 1) passes. `baseline`: zero (the training set's mean colour),
    mean, blurred, or a tensor. All images get the same masks.
    """
    cells = check_cells(cells, 8, images)
    count = cells**2 + 1
    check_count("samples", samples, 2, MOST_VERSIONS // count)
    check_count("seed", seed, 0)
    design = latin_hypercube(samples, 2 * cells**2, np.random.default_rng(seed))
    scores = scores_of_masks(
        network,
        images,
        targets,
        _masks(design, cells),
        samples * count,
        baseline=baseline,
        batch_size=batch_size,
        score=score,
    )
    return map_of_cells(total_indices(scores.reshape(-1, samples, count)), images)


def _masks(design: np.ndarray, cells: int) -> Iterator[np.ndarray]:
    """For each row of the design A_j, and then A_j with one number of B_j after the other."""
    for row in design.reshape(len(design), 2, -1):
        yield row[0].reshape(cells, cells)
        for number, other in enumerate(row[1]):
            changed = row[0].copy()
            changed[number] = other
            yield changed.reshape(cells, cells)


def total_indices(scores: np.ndarray) -> np.ndarray:
    """Jansen's estimator, `[N, d]`, of scores `[N, samples, 1 + d]`; 0 where nothing varies."""
    drawn, changed = scores[:, :, :1], scores[:, :, 1:]
    variance = drawn.var(axis=1, ddof=1)
    variances = ((drawn - changed) ** 2).mean(axis=1) / 2
    return np.divide(variances, variance, out=np.zeros_like(variances), where=variance > 0)
