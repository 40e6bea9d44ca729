"""Pyramid: Adam changes images of all sizes, whose sum is the image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import paddle

from ...core.images import IMAGENET_MEAN, IMAGENET_STD
from ..settings import Growth
from .base import Parametrisation
from .colours import Colours
from .tensors import constant


class Pyramid(Parametrisation):
    """The variable holds images of all sizes, which are enlarged and added.

    This is the image of Direct Ascent Synthesis (Fort & Whitaker 2025), in decorrelated colours:
    image = colours(Σ enlarged(level)). The sizes are the whole one, its half, its quarter … down
    to one pixel. The first image is `start`, `[N, C, H, W]`, normalised.
    """

    def __init__(
        self,
        start: paddle.Tensor,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
        growth: Growth | None = None,
    ):
        count, channels, *size = start.shape
        colours = Colours(channels, mean, std)
        self.levels = levels(size)
        self.matrices: dict[tuple[int, int], paddle.Tensor] = {}
        whole = colours.plain(start).reshape(count, channels, -1)
        rest = sum(height * width for height, width in self.levels[1:])
        super().__init__(np.pad(whole, ((0, 0), (0, 0), (0, rest))), size, growth, colours)

    def plain(self, shape: Sequence[int]) -> paddle.Tensor:
        """The decorrelated colours of the picture with this height and width."""
        count, channels, _ = self.variable.shape
        parts = paddle.split(self.variable, [h * w for h, w in self.levels], axis=2)
        total: Any = 0
        for part, (height, width) in zip(parts, self.levels):
            level = part.reshape([count, channels, height, width])
            if height != shape[0]:
                level = paddle.matmul(self._resizing(height, shape[0]), level)
            if width != shape[1]:
                level = paddle.matmul(level, self._resizing(width, shape[1]), transpose_y=True)
            total = total + level
        return total

    def _resizing(self, before: int, after: int) -> paddle.Tensor:
        """The matrix of `resizing` as a tensor, which is kept for the next step."""
        if (before, after) not in self.matrices:
            self.matrices[before, after] = constant(resizing(before, after))
        return self.matrices[before, after]


def levels(size: Sequence[int]) -> list[tuple[int, int]]:
    """The heights and widths of the levels, the whole image first, and one pixel last."""
    found = [(size[0], size[1])]
    while found[-1] != (1, 1):
        found.append((max(1, found[-1][0] // 2), max(1, found[-1][1] // 2)))
    return found


def resizing(before: int, after: int) -> np.ndarray:
    """The matrix `[after, before]` that resizes one side of an image by a cubic kernel (Keys 1981).

    Each row sums to 1. A reduced image is the mean over all pixels that it covers.
    """
    step = max(1.0, before / after)
    centres = (np.arange(after) + 0.5) * before / after - 0.5
    distance = np.abs(centres[:, None] - np.arange(before)[None]) / step
    near = 1.5 * distance**3 - 2.5 * distance**2 + 1
    far = -0.5 * distance**3 + 2.5 * distance**2 - 4 * distance + 2
    weights = np.where(distance < 1, near, np.where(distance < 2, far, 0))
    return weights / weights.sum(axis=1, keepdims=True)
