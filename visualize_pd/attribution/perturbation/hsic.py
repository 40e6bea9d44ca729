"""HSIC: how much the score depends on whether each cell of a grid is visible."""

from __future__ import annotations

from typing import Any

import numpy as np
import paddle

from ...core.checks import check_count
from ...network.scores import Score
from .grid import check_cells, latin_hypercube, map_of_cells, scores_of_masks

MOST_SAMPLES = 100_000  # the time of the estimate grows with their square
MOST_NUMBERS = 50_000_000  # of all masks: about 1 GB
COMPARED = 1_000  # scores whose distances give the width of the kernel
BLOCK = 256  # rows of the kernel that are in memory at once


def hsic(
    network: paddle.nn.Layer,
    images: paddle.Tensor,
    targets: Any = None,
    *,
    cells: int | None = None,
    samples: int = 500,
    baseline: str | paddle.Tensor = "zero",
    seed: int = 0,
    batch_size: int | None = None,
    score: Score = "logit",
) -> paddle.Tensor:
    """The dependence of the score on each cell of a mask (Novello et al. 2022).

    `[N, 1, H, W]`, not negative: the Hilbert-Schmidt independence criterion tr(K H L H) /
    (`samples` − 1)². K is 1 where two masks both show or both hide the cell, and else 0. L is
    exp(−(S_c − S_c′)² / 2σ²) of the two scores; σ is the median distance of two scores. H =
    1 − 1/`samples`. A mask has `cells` × `cells` cells, by default 7 × 7. Each cell is visible in
    half of the `samples` masks, which are drawn by a Latin hypercube. `baseline` is what hides:
    zero (the training set's mean colour), mean, blurred, or a tensor. All images get the same
    masks.
    """
    cells = check_cells(cells, 7, images)
    check_count("samples", samples, 2, min(MOST_SAMPLES, MOST_NUMBERS // cells**2))
    check_count("seed", seed, 0)
    visible = latin_hypercube(samples, cells**2, np.random.default_rng(seed)) < 0.5
    scores = scores_of_masks(
        network,
        images,
        targets,
        visible.reshape(-1, cells, cells),
        samples,
        baseline=baseline,
        batch_size=batch_size,
        score=score,
    )
    return map_of_cells(np.stack([dependence(visible, each) for each in scores]), images)


def dependence(visible: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """The criterion of each column of `visible` `[samples, d]` with the scores: `[d]`."""
    samples, cells = visible.shape
    some = scores[:COMPARED]
    sigma = np.median(np.abs(some[:, None] - some)[np.triu_indices(len(some), 1)])
    if not sigma > 0:
        sigma = np.ptp(some)  # more than half of the scores are the same
    if not sigma > 0:
        return np.zeros(cells)
    # K − 1/2 is 2aaᵀ with a = ±1/2, so that tr(K H L H) is 2(Ha)ᵀL(Ha).
    centred = visible - visible.mean(axis=0)
    total = np.zeros(cells)
    for start in range(0, samples, BLOCK):
        rows = slice(start, start + BLOCK)
        kernel = np.exp(-(((scores[rows, None] - scores) / sigma) ** 2) / 2)
        total += (centred[rows] * (kernel @ centred)).sum(axis=0)
    return 2 * total.clip(min=0) / (samples - 1) ** 2
