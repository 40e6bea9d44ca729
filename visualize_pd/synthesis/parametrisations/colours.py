"""Decorrelated colours, and the normalised images that are made of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import paddle
from paddle.nn import functional

from .base import constant

# A square root of the covariance of the colours in ImageNet (Olah et al. 2017). Its longest column
# is scaled to length 1. The columns are brightness, blue to yellow, and green to pink.
COLOURS = np.array([[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]])
COLOURS = COLOURS / np.linalg.norm(COLOURS, axis=0).max()


class Colours:
    """image = (sigmoid(COLOURS · plain) − mean) / std, so every pixel is a colour of a screen.

    Images with another number of channels than 3 keep their channels apart.
    """

    def __init__(self, channels: int, mean: Sequence[float], std: Sequence[float]):
        self.matrix = COLOURS if channels == 3 else np.eye(channels)
        self.weights = constant(self.matrix.reshape(channels, channels, 1, 1))
        self.mean, self.std = (constant(np.reshape(v, (1, -1, 1, 1))) for v in (mean, std))

    def image(self, plain: paddle.Tensor) -> paddle.Tensor:
        """The normalised images of decorrelated colours, both `[N, C, H, W]`."""
        shares = functional.sigmoid(functional.conv2d(plain, self.weights))
        return (shares - self.mean) / self.std

    def plain(self, images: paddle.Tensor) -> np.ndarray:
        """The inverse of `image`.

        Only colours at the very ends of the range differ, because the sigmoid never reaches them.
        """
        shares = images.numpy().astype("float64") * self.std.numpy() + self.mean.numpy()
        shares = np.clip(shares, 1e-3, 1 - 1e-3)
        return np.einsum("dc,nchw->ndhw", np.linalg.inv(self.matrix), np.log(shares / (1 - shares)))
