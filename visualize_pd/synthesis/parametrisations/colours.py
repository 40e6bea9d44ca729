"""Decorrelated colours, and the normalised images that are made of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import paddle
from paddle.nn import functional

from .tensors import constant

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

    def image(
        self, plain: paddle.Tensor, contrast: float = 1.0, colours: float = 1.0
    ) -> paddle.Tensor:
        """The normalised images of decorrelated colours, both `[N, C, H, W]`.

        The differences from the mean over each image are multiplied by `contrast` in the
        brightness, and by `colours` in the other two channels.
        """
        if (contrast, colours) != (1, 1):
            plain = self._raised(plain, contrast, colours)
        shares = functional.sigmoid(functional.conv2d(plain, self.weights))
        return (shares - self.mean) / self.std

    def _raised(self, plain: paddle.Tensor, contrast: float, colours: float) -> paddle.Tensor:
        count, channels, height, width = plain.shape
        size = height * width
        # A matrix product, because the backward pass of Paddle's `mean` takes many times as long.
        share = paddle.full([size, 1], 1 / size, dtype=plain.dtype)
        means = paddle.matmul(plain.reshape([count * channels, size]), share)
        means = means.reshape([count, channels, 1, 1])
        each = [contrast, colours, colours] if channels == 3 else [contrast] * channels
        return means + (plain - means) * constant(np.reshape(each, (1, -1, 1, 1)))

    def plain(self, images: paddle.Tensor) -> np.ndarray:
        """The inverse of `image`.

        Only colours at the very ends of the range differ, because the sigmoid never reaches them.
        """
        shares = images.numpy().astype("float64") * self.std.numpy() + self.mean.numpy()
        shares = np.clip(shares, 1e-3, 1 - 1e-3)
        return np.einsum("dc,nchw->ndhw", np.linalg.inv(self.matrix), np.log(shares / (1 - shares)))
