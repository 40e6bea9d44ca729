"""Explanations that hide parts of the image and watch the score; no gradient is needed."""

from __future__ import annotations

from typing import Any

import numpy as np
import paddle

from .baselines import make_baseline
from .errors import ConfigError, check_count
from .passes import batches, per_image, repeat, scoring


def occlusion(
    network: paddle.nn.Layer,
    images: paddle.Tensor,
    targets: Any = None,
    *,
    size: int | None = None,
    stride: int | None = None,
    baseline: str | paddle.Tensor = "zero",
    batch_size: int = 32,
    score: str = "logit",
) -> paddle.Tensor:
    """How far the score drops when a square is hidden (Zeiler & Fergus 2014, section 4.2).

    `[N, 1, H, W]`, signed: each pixel's mean of S_c(I) − S_c(I hidden) over the squares that hide
    it. `size` in pixels, by default a fifth of the shorter side, and `stride`, by default a third
    of that; the last row and column of squares end at the edge. `baseline` fills the square: zero
    (the training set's mean colour), mean, blurred, or a tensor.
    """
    versions = per_image(batch_size, images)
    height, width = images.shape[2:]
    size = max(1, round(min(height, width) / 5)) if size is None else size
    check_count("size", size)
    stride = max(1, size // 3) if stride is None else stride
    check_count("stride", stride)
    fill = make_baseline(baseline, images)
    tops, lefts = _positions(height, size, stride), _positions(width, size, stride)
    windows = [(top, left) for top in tops for left in lefts]
    hidden_by = np.zeros((height, width), dtype="float32")
    with scoring(network) as score_of:
        scores, chosen = score_of(images, targets, score)
        drops = np.zeros((len(images), height, width), dtype="float32")
        for part in batches(len(windows), versions, "hiding squares"):
            count = part.stop - part.start
            hidden = paddle.stack([images] * count)
            for one, (top, left) in enumerate(windows[part]):
                rows, columns = slice(top, top + size), slice(left, left + size)
                hidden[one, ..., rows, columns] = fill[..., rows, columns]
            hidden = hidden.reshape([-1, *images.shape[1:]])
            left_over, _ = score_of(hidden, repeat(chosen, count), score)
            drop = (scores - left_over.reshape([count, -1])).numpy()
            for row, (top, left) in zip(drop, windows[part]):
                drops[:, top : top + size, left : left + size] += row[:, None, None]
                hidden_by[top : top + size, left : left + size] += 1
    mean_drop = drops / np.maximum(hidden_by, 1)
    return paddle.to_tensor(mean_drop[:, None]).astype(images.dtype)


def rise(
    network: paddle.nn.Layer,
    images: paddle.Tensor,
    targets: Any = None,
    *,
    masks: int = 2000,
    cells: int = 7,
    keep: float = 0.5,
    seed: int = 0,
    batch_size: int = 32,
    score: str = "probability",
) -> paddle.Tensor:
    """1/(N·p) Σ S_c(I ⊙ M_i) · M_i over random soft masks (RISE, Petsiuk et al. 2018, equation 6).

    `[N, 1, H, W]`. Each of `masks` is a grid of `cells` × `cells`, open with probability `keep` =
    p, enlarged and shifted; hidden pixels get the training set's mean colour. Each image gets the
    same masks, so that a batch gives what single images give.
    """
    check_count("masks", masks)
    check_count("cells", cells)
    check_count("seed", seed, 0)
    if isinstance(keep, bool) or not isinstance(keep, (int, float)) or not 0 < keep <= 1:
        raise ConfigError(f"keep must be a probability over 0, not {keep!r}")
    versions = per_image(batch_size, images)
    random = np.random.default_rng(seed)
    images = images.detach()
    with scoring(network) as score_of:
        _, chosen = score_of(images, targets)
        total = paddle.zeros([len(images), 1, *images.shape[2:]], dtype=images.dtype)
        for part in batches(masks, versions, "hiding at random"):
            count = part.stop - part.start
            mask = random_masks(count, images.shape[2:], cells, keep, random).astype(images.dtype)
            hidden = paddle.concat([images * one.expand_as(images) for one in mask.split(count)])
            scores, _ = score_of(hidden, repeat(chosen, count), score)
            for of_mask, one in zip(scores.reshape([count, -1, 1, 1, 1]), mask):
                total += of_mask * one
    return total / (masks * keep)


def random_masks(
    count: int, shape: tuple[int, int], cells: int, keep: float, random: np.random.Generator
) -> paddle.Tensor:
    """`[count, 1, H, W]` in [0, 1]: grids enlarged with soft edges, each shifted within a cell."""
    height, width = shape
    cell_height, cell_width = -(-height // cells), -(-width // cells)
    grids, corners = [], []
    for _ in range(count):  # one by one, so that the batch size does not change what is drawn
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


def _positions(length: int, size: int, stride: int) -> list[int]:
    last = max(0, length - size)
    return [*range(0, last, stride), last]
