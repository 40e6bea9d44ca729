"""Parametrisations: a variable that the optimiser changes, and the image that is made of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Union

import numpy as np
import paddle
from paddle.nn import functional

from ..core.images import IMAGENET_MEAN, IMAGENET_STD

# A square root of the covariance of the colours in ImageNet (Olah et al. 2017). Its longest column
# is scaled to length 1. The columns are brightness, blue to yellow, and green to pink.
COLOURS = np.array([[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]])
COLOUR_WAVES = 8  # waves per image, from which on `colour_decay` counts
COLOURS = COLOURS / np.linalg.norm(COLOURS, axis=0).max()


class Pixels:
    """The variable is the image itself, `[N, C, H, W]`, normalised."""

    def __init__(self, start: paddle.Tensor):
        self.variable, self.size = _variable(start), start.shape[2:]

    def image(self, done: float = 1.0) -> paddle.Tensor:
        """The image, with a gradient back to `variable`. It is the same at any time."""
        return self.variable


class Fourier:
    """The variable is the Fourier spectrum of decorrelated colours (Olah et al. 2017).

    image = (sigmoid(colours · irfft2(spectrum · f^−decay)) − mean) / std. So low frequencies change
    faster, and every pixel is a colour of a screen. Frequencies f below `lowest` waves over the
    longer side count as `lowest`. The first image is `start`, `[N, C, H, W]`, normalised. Only
    colours at the very ends of the range differ, because the sigmoid never reaches them. With
    `start_size` the image has this longer side for the share `start_share` of the steps. Above 8
    waves per image, the two colours besides brightness change more slowly by f^−colour_decay.
    """

    def __init__(
        self,
        start: paddle.Tensor,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
        decay: float = 0.8,
        lowest: float = 5,
        start_size: int = 0,
        start_share: float = 0.2,
        colour_decay: float = 0.0,
    ):
        channels, self.size = start.shape[1], start.shape[2:]
        self.start_size, self.start_share = start_size, start_share
        colours = COLOURS if channels == 3 else np.eye(channels)
        self.colours = _constant(colours.reshape(channels, channels, 1, 1))
        self.mean, self.std = (
            _constant(np.reshape(values, (1, -1, 1, 1))) for values in (mean, std)
        )
        height, width = self.size
        frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
        scale = np.maximum(frequency, lowest / max(height, width)) ** -decay
        if colour_decay and channels == 3:
            waves = np.maximum(frequency * max(height, width) / COLOUR_WAVES, 1)
            scale = np.stack([scale, *[scale * waves**-colour_decay] * 2])
        self.scale = _constant(scale[..., None])

        shares = start.numpy().astype("float64") * self.std.numpy() + self.mean.numpy()
        shares = np.clip(shares, 1e-3, 1 - 1e-3)
        plain = np.einsum("dc,nchw->ndhw", np.linalg.inv(colours), np.log(shares / (1 - shares)))
        spectrum = np.fft.rfft2(plain, norm="ortho") / scale
        self.variable = _variable(_constant(np.stack([spectrum.real, spectrum.imag], axis=-1)))

    def image(self, done: float = 1.0) -> paddle.Tensor:
        """The image, with a gradient back to `variable`.

        `done` is the share of the steps that are done. A small image is made of the low frequencies
        alone.
        """
        values, shape = self.variable * self.scale, list(self.size)
        size = self._longer_side(done)
        if size < max(shape):
            values, shape = self._low_frequencies(values, size)
        plain = paddle.fft.irfft2(paddle.as_complex(values), s=shape, norm="ortho")
        shares = functional.sigmoid(functional.conv2d(plain, self.colours))
        return (shares - self.mean) / self.std

    def _longer_side(self, done: float) -> int:
        whole = max(self.size)
        return min(whole, self.start_size or whole) if done < self.start_share else whole

    def _low_frequencies(self, values: paddle.Tensor, size: int) -> tuple[paddle.Tensor, list[int]]:
        """The part of a spectrum that belongs to a smaller image, and the shape of this image."""
        whole = list(self.size)
        shape = [max(2, round(side * size / max(whole))) for side in whole]
        rows = np.fft.fftfreq(shape[0], 1 / shape[0]).astype("int64") % whole[0]
        low = paddle.index_select(values, paddle.to_tensor(rows), axis=2)
        low = low[:, :, :, : shape[1] // 2 + 1]
        return low * float(np.sqrt(np.prod(shape) / np.prod(whole))), shape


Parametrisation = Union[Pixels, Fourier]
PARAMETRISATIONS = {"pixels": Pixels, "fourier": Fourier}


def _constant(values: np.ndarray) -> paddle.Tensor:
    return paddle.to_tensor(np.ascontiguousarray(values, dtype="float32"))


def _variable(start: paddle.Tensor) -> paddle.Tensor:
    return paddle.create_parameter(
        start.shape, "float32", default_initializer=paddle.nn.initializer.Assign(start.numpy())
    )
