"""Phases: Adam changes where the waves of an image are, but not how strong they are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import paddle

from ...core.images import IMAGENET_MEAN, IMAGENET_STD
from ..settings import Growth
from .base import Parametrisation
from .colours import Colours
from .fourier import frequencies, picture
from .tensors import constant

# The spectrum of photographs (Fel et al. 2023), with f in waves per 512 pixels:
# f^−SLOPE · exp(−(f / FADE)²)
SLOPE, FADE, SIDE = 1.15, 140.0, 512


class Phases(Parametrisation):
    """The variable is the phase of each wave. The strengths are those of photographs.

    This is MACO (Fel et al. 2023): image = colours(irfft2(strength · e^(i · phase))), where the
    strength of f waves per image is f^−1.15 · exp(−(f / 140)²), with f for 512 pixels. `contrast`
    is the standard deviation of the decorrelated colours, before the sigmoid. The first phases are
    those of `start`, `[N, C, H, W]`, normalised.
    """

    def __init__(
        self,
        start: paddle.Tensor,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
        contrast: float = 1.0,
        growth: Growth | None = None,
    ):
        channels, size = start.shape[1], start.shape[2:]
        colours = Colours(channels, mean, std)
        self.strength = constant(strengths(size) * contrast)
        spectrum = np.fft.rfft2(colours.plain(start))
        super().__init__(np.angle(spectrum), size, growth, colours)

    def plain(self, shape: Sequence[int]) -> paddle.Tensor:
        """The decorrelated colours of the picture with this height and width."""
        phase = self.variable
        waves = paddle.stack([phase.cos(), phase.sin()], axis=-1) * self.strength.unsqueeze(-1)
        return picture(waves, self.size, shape)


def strengths(size: Sequence[int]) -> np.ndarray:
    """The strengths of the waves of an image whose pixels have the standard deviation 1."""
    waves = frequencies(size) * SIDE / max(size)
    found = np.zeros(waves.shape)
    inside = waves > 0
    found[inside] = waves[inside] ** -SLOPE * np.exp(-((waves[inside] / FADE) ** 2))
    # Each wave counts twice, but those with a horizontal frequency of 0 or of half the width.
    twice = np.full(waves.shape[1], 2.0)
    twice[0] = 1
    if size[1] % 2 == 0:
        twice[-1] = 1
    return found * np.sqrt(np.prod(size) / (found**2 * twice).sum())
