"""What all parametrisations share: one variable, and an image that may grow."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import paddle

from ..settings import Growth


class Parametrisation:
    """A variable that the optimiser changes, and the image `[N, C, H, W]` that is made of it.

    `size` is the height and width of the whole image. With `growth` the image begins small.
    """

    def __init__(self, start: np.ndarray, size: Sequence[int], growth: Growth | None = None):
        self.variable = variable(start)
        self.size = list(size)
        self.growth = growth or Growth()

    def image(self, done: float = 1.0) -> paddle.Tensor:
        """The normalised image when the share `done` of the steps is done.

        It has a gradient back to `variable`.
        """
        return self.at(self.shape(done))

    def shape(self, done: float) -> list[int]:
        """The height and width of the image at this time."""
        sizes, share = self.growth.sizes, self.growth.share
        if not sizes or done >= share:
            return self.size
        side = sizes[int(done / share * len(sizes))]
        if side >= max(self.size):
            return self.size
        return [max(2, round(each * side / max(self.size))) for each in self.size]

    def at(self, shape: Sequence[int]) -> paddle.Tensor:
        """The same picture with this height and width."""
        raise NotImplementedError


def constant(values: np.ndarray) -> paddle.Tensor:
    """A tensor without a gradient."""
    return paddle.to_tensor(np.ascontiguousarray(values, dtype="float32"))


def variable(start: np.ndarray) -> paddle.Tensor:
    """A parameter with this first value."""
    values = np.ascontiguousarray(start, dtype="float32")
    return paddle.create_parameter(
        list(values.shape), "float32", default_initializer=paddle.nn.initializer.Assign(values)
    )
