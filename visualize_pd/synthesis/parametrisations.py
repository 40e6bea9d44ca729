"""What an optimiser changes in place of an image, and the image that it stands for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Union

import numpy as np
import paddle
from paddle.nn import functional

from ..core.images import IMAGENET_MEAN, IMAGENET_STD

# How the colours of photographs vary together: a square root of their covariance over ImageNet
# (Olah et al. 2017), its longest column 1. Its columns: brightness, blue to yellow, green to pink.
COLOURS = np.array([[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]])


COLOURS = COLOURS / np.linalg.norm(COLOURS, axis=0).max()


class Pixels:
    """The image itself, `[N, C, H, W]`, normalised."""

    def __init__(self, start: paddle.Tensor):
        self.variable = _variable(start)

    def image(self) -> paddle.Tensor:
        """The image, with a gradient back to `variable`."""
        return self.variable


class Fourier:
    """The spectrum of decorrelated colours, low frequencies first (Olah et al. 2017).

    image = (sigmoid(colours · irfft2(spectrum · f^−decay)) − mean) / std, so that every pixel is a
    colour that a screen has. Frequencies f below `lowest` waves over the longer side count as that.
    `start`: `[N, C, H, W]`, normalised, is met but for colours at the very ends of the range, which
    the sigmoid never reaches.
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
