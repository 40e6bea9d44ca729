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
COLOURS = COLOURS / np.linalg.norm(COLOURS, axis=0).max()


class Pixels:
    """The variable is the image itself, `[N, C, H, W]`, normalised."""

    def __init__(self, start: paddle.Tensor):
        self.variable = _variable(start)

    def image(self) -> paddle.Tensor:
        """The image, with a gradient back to `variable`."""
        return self.variable


class Fourier:
    """The variable is the Fourier spectrum of decorrelated colours (Olah et al. 2017).

    image = (sigmoid(colours · irfft2(spectrum · f^−decay)) − mean) / std. So low frequencies change
    faster, and every pixel is a colour of a screen. Frequencies f below `lowest` waves over the
    longer side count as `lowest`. The first image is `start`, `[N, C, H, W]`, normalised. Only
    colours at the very ends of the range differ, because the sigmoid never reaches them.
    """

    def __init__(
        self,
        start: paddle.Tensor,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
        decay: float = 0.8,
        lowest: float = 5,
    ):
        channels, self.size = start.shape[1], start.shape[2:]
        colours = COLOURS if channels == 3 else np.eye(channels)
        self.colours = _constant(colours.reshape(channels, channels, 1, 1))
        self.mean, self.std = (
            _constant(np.reshape(values, (1, -1, 1, 1))) for values in (mean, std)
        )
        height, width = self.size
        frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
        scale = np.maximum(frequency, lowest / max(height, width)) ** -decay
        self.scale = _constant(scale[..., None])

        shares = start.numpy().astype("float64") * self.std.numpy() + self.mean.numpy()
        shares = np.clip(shares, 1e-3, 1 - 1e-3)
        plain = np.einsum("dc,nchw->ndhw", np.linalg.inv(colours), np.log(shares / (1 - shares)))
        spectrum = np.fft.rfft2(plain, norm="ortho") / scale
        self.variable = _variable(_constant(np.stack([spectrum.real, spectrum.imag], axis=-1)))

    def image(self) -> paddle.Tensor:
        """The image, with a gradient back to `variable`."""
        spectrum = paddle.as_complex(self.variable * self.scale)
        plain = paddle.fft.irfft2(spectrum, s=self.size, norm="ortho")
        shares = functional.sigmoid(functional.conv2d(plain, self.colours))
        return (shares - self.mean) / self.std


Parametrisation = Union[Pixels, Fourier]
PARAMETRISATIONS = {"pixels": Pixels, "fourier": Fourier}


def _constant(values: np.ndarray) -> paddle.Tensor:
    return paddle.to_tensor(np.ascontiguousarray(values, dtype="float32"))


def _variable(start: paddle.Tensor) -> paddle.Tensor:
    return paddle.create_parameter(
        start.shape, "float32", default_initializer=paddle.nn.initializer.Assign(start.numpy())
    )
