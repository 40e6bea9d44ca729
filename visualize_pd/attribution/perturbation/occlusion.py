"""Occlusion: how far the score drops when a square is hidden."""

from __future__ import annotations

from typing import Any

import numpy as np
import paddle

from ...core.checks import check_count
from ...network.batching import MOST_VERSIONS, batches, repeat, versions_per_pass
from ...network.finite import passes_of_a_loop
from ...network.scores import Score, score_function
from ..baselines import make_baseline


def occlusion(
    network: paddle.nn.Layer,
    images: paddle.Tensor,
    targets: Any = None,
    *,
    size: int | None = None,
    stride: int | None = None,
    baseline: str | paddle.Tensor = "zero",
    batch_size: int | None = None,
    score: Score = "logit",
) -> paddle.Tensor:
    """How far the score drops when a square is hidden (Zeiler & Fergus 2014, section 4.2).

    `[N, 1, H, W]`, signed. Each pixel has the mean of S_c(I) − S_c(I hidden) over the squares that
    hide it. `size` is the side of a square in pixels, by default a fifth of the shorter side.
    `stride` is the step from one square to the next, by default a third of `size`. The last row and
    the last column of squares end at the edge. `baseline` fills the square: zero (the training
    set's mean colour), mean, blurred, or a tensor. `batch_size` is the number of images, with their
    hidden versions, in one pass: by default 32; on a GPU, as many as fit into its free memory.
    """
    versions = versions_per_pass(network, images, batch_size)
    height, width = images.shape[2:]
    size = max(1, round(min(height, width) / 5)) if size is None else size
    check_count("size", size)
    stride = max(1, size // 3) if stride is None else stride
    check_count("stride", stride)
    fill = make_baseline(baseline, images)
    tops, lefts = _positions(height, size, stride), _positions(width, size, stride)
    check_count("the number of squares", len(tops) * len(lefts), 1, MOST_VERSIONS)
    windows = [(top, left) for top in tops for left in lefts]
    hidden_by = np.zeros((height, width), dtype="float32")
    with score_function(network) as score_of:
        scores, chosen = score_of(images, targets, score)
        found = []
        with passes_of_a_loop():
            for part in batches(len(windows), versions, "hiding squares"):
                count = part.stop - part.start
                hidden = paddle.stack([images] * count)
                for one, (top, left) in enumerate(windows[part]):
                    rows, columns = slice(top, top + size), slice(left, left + size)
                    hidden[one, ..., rows, columns] = fill[..., rows, columns]
                hidden = hidden.reshape([-1, *images.shape[1:]])
                left_over, _ = score_of(hidden, repeat(chosen, count), score)
                found.append(scores - left_over.reshape([count, -1]))
    drops = np.zeros((len(images), height, width), dtype="float32")
    for row, (top, left) in zip(paddle.concat(found).numpy(), windows):
        drops[:, top : top + size, left : left + size] += row[:, None, None]
        hidden_by[top : top + size, left : left + size] += 1
    mean_drop = drops / np.maximum(hidden_by, 1)
    return paddle.to_tensor(mean_drop[:, None]).astype(images.dtype)


def _positions(length: int, size: int, stride: int) -> list[int]:
    last = max(0, length - size)
    return [*range(0, last, stride), last]
