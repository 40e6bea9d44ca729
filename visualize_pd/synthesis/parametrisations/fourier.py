"""Fourier: Adam changes the spectrum of an image in decorrelated colours."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import paddle

from ...core.images import IMAGENET_MEAN, IMAGENET_STD
from ..settings import Growth
from .base import Parametrisation
from .colours import Colours
from .tensors import constant

COLOUR_WAVES = 8  # waves per image, from which on `colour_decay` counts


class Fourier(Parametrisation):
    """The variable is the Fourier spectrum of decorrelated colours (Olah et al. 2017).

    image = colours(irfft2(spectrum · f^−decay)). So low frequencies change faster. Frequencies f
    below `lowest` waves over the longer side count as `lowest`. The first image is `start`,
    `[N, C, H, W]`, normalised. Above 8 waves per image, the two colours besides brightness change
    more slowly by f^−colour_decay. A small image is made of the low frequencies alone.
    """

    def __init__(
        self,
        start: paddle.Tensor,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
        decay: float = 0.8,
        lowest: float = 5,
        colour_decay: float = 0.0,
        growth: Growth | None = None,
    ):
        channels, size = start.shape[1], start.shape[2:]
        colours = Colours(channels, mean, std)
        waves = frequencies(size)
        scale = (np.maximum(waves, lowest) / max(size)) ** -decay
        if colour_decay and channels == 3:
            slower = np.maximum(waves / COLOUR_WAVES, 1) ** -colour_decay
            scale = np.stack([scale, *[scale * slower] * 2])
        self.scale = constant(scale[..., None])
        spectrum = np.fft.rfft2(colours.plain(start), norm="ortho") / scale
        super().__init__(np.stack([spectrum.real, spectrum.imag], axis=-1), size, growth, colours)

    def plain(self, shape: Sequence[int]) -> paddle.Tensor:
        """The decorrelated colours of the picture with this height and width."""
        return picture(self.variable * self.scale, self.size, shape)


def frequencies(size: Sequence[int]) -> np.ndarray:
    """The frequencies of `rfft2`, in waves over the longer side, `[H, W / 2 + 1]`."""
    height, width = size
    down, right = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
    return np.hypot(down, right) * max(size)


def picture(values: paddle.Tensor, size: Sequence[int], shape: Sequence[int]) -> paddle.Tensor:
    """The inverse Fourier transform of a spectrum `[N, C, H, W / 2 + 1, 2]` of images of `size`.

    An image with a smaller `shape` is made of the low frequencies alone.
    """
    if list(shape) != list(size):
        rows = np.fft.fftfreq(shape[0], 1 / shape[0]).astype("int64") % size[0]
        values = paddle.index_select(values, paddle.to_tensor(rows), axis=2)
        values = values[:, :, :, : shape[1] // 2 + 1]
        values = values * float(np.sqrt(np.prod(shape) / np.prod(size)))
    return paddle.fft.irfft2(paddle.as_complex(values), s=list(shape), norm="ortho")
