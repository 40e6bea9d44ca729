"""Pixels: Adam changes the image itself."""

from __future__ import annotations

from collections.abc import Sequence

import paddle
from paddle.nn import functional

from ..settings import Growth
from .base import Parametrisation


class Pixels(Parametrisation):
    """The variable is the image itself, `[N, C, H, W]`, normalised.

    A small image is made of the means of blocks of pixels.
    """

    def __init__(self, start: paddle.Tensor, growth: Growth | None = None):
        super().__init__(start.numpy(), start.shape[2:], growth)

    def plain(self, shape: Sequence[int]) -> paddle.Tensor:
        """The picture with this height and width."""
        if list(shape) == self.size:
            return self.variable
        return functional.adaptive_avg_pool2d(self.variable, list(shape))
