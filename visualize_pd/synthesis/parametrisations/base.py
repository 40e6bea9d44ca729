"""What all parametrisations share: one variable, and an image that may grow."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import paddle

from ...core.errors import ConfigError
from ..settings import Growth
from .colours import Colours
from .tensors import variable


class Parametrisation:
    """A variable that the optimiser changes, and the image `[N, C, H, W]` that is made of it.

    `size` is the height and width of the whole image. With `growth` the image begins small, or
    its contrast is raised later. Without `colours` the variable holds the image itself. Raises
    `ConfigError` if that should get more contrast.
    """

    def __init__(
        self,
        start: np.ndarray,
        size: Sequence[int],
        growth: Growth | None = None,
        colours: Colours | None = None,
    ):
        self.variable = variable(start)
        self.size = list(size)
        self.growth = growth or Growth()
        self.colours = colours
        _check(self.growth, colours)

    def image(self, done: float = 1.0) -> paddle.Tensor:
        """The normalised image when the share `done` of the steps is done.

        It has a gradient back to `variable`.
        """
        return self.images(done)[0]

    def images(self, done: float) -> tuple[paddle.Tensor, paddle.Tensor]:
        """The image when the share `done` of the steps is done, and the same without more contrast.

        The second one is for penalties.
        """
        plain = self.plain(self.shape(done))
        before = self._coloured(plain, (1, 1))
        factors = self.factors(done)
        return (before if factors == (1, 1) else self._coloured(plain, factors)), before

    def whole(self, done: float) -> paddle.Tensor:
        """The image at this time with its whole size."""
        return self._coloured(self.plain(self.size), self.factors(done))

    def plain(self, shape: Sequence[int]) -> paddle.Tensor:
        """The picture with this height and width, in decorrelated colours if it has `colours`."""
        raise NotImplementedError

    def _coloured(self, plain: paddle.Tensor, factors: tuple[float, float]) -> paddle.Tensor:
        return self.colours.image(plain, *factors) if self.colours else plain

    def shape(self, done: float) -> list[int]:
        """The height and width of the image at this time."""
        sizes, share = self.growth.sizes, self.growth.share
        if not sizes or done >= share:
            return self.size
        side = sizes[int(done / share * len(sizes))]
        if side >= max(self.size):
            return self.size
        return [max(2, round(each * side / max(self.size))) for each in self.size]

    def factors(self, done: float) -> tuple[float, float]:
        """The factors of the contrast of brightness and of colours at this time."""
        first, last = self.growth.raised
        share = float(np.clip((done - first) / max(last - first, 1e-9), 0, 1))
        return (
            1 + (self.growth.contrast - 1) * share,
            1 + (self.growth.colours - 1) * share,
        )


def _check(growth: Growth, colours: Colours | None) -> None:
    if len(growth.raised) != 2 or growth.raised[0] > growth.raised[1]:
        raise ConfigError(
            "growth.raised must be two shares of the steps, the smaller first, not "
            f"{list(growth.raised)}"
        )
    if colours is None and (growth.contrast, growth.colours) != (1, 1):
        raise ConfigError(
            "growth.contrast and growth.colours change decorrelated colours, which pixels do not "
            "have; use parametrisation=pyramid, fourier or phases"
        )
