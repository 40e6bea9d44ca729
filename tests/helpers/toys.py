"""Networks so small that their gradients can be worked out by hand."""

import numpy as np
import paddle
from paddle import nn


class Linear(nn.Layer):
    """S_c(I) = Σ w_c · I: the gradient is w_c, whatever the image."""

    def __init__(self, weights):
        super().__init__()
        self.weights = paddle.to_tensor(np.asarray(weights, dtype="float32"))

    def forward(self, images):
        return paddle.einsum("nchw,kchw->nk", images, self.weights)


class Quadratic(Linear):
    """S_c(I) = ½ Σ w_c · I²: the gradient is w_c · I."""

    def forward(self, images):
        return super().forward(images * images) / 2


def weights(classes=3, height=5, width=7, seed=0):
    """Class weights [classes, 3, height, width] without symmetry."""
    return np.random.default_rng(seed).standard_normal((classes, 3, height, width), dtype="float32")


def images(count=2, height=5, width=7, seed=1):
    values = np.random.default_rng(seed).standard_normal((count, 3, height, width))
    return paddle.to_tensor(values.astype("float32"))


def close(actual, expected, tolerance=1e-5):
    """Assert that arrays are alike, as a share of the largest value, which is not 0."""
    actual, expected = np.asarray(actual, dtype="float64"), np.asarray(expected)
    assert actual.shape == expected.shape
    assert np.abs(expected).max() > 0
    assert np.abs(actual - expected).max() <= tolerance * np.abs(expected).max()


def counting(network):
    """A network's class that keeps, in `sizes`, how many images each recorded pass had."""

    class Counting(network):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            self.sizes = []

        def forward(self, batch):
            if not batch.stop_gradient:
                self.sizes.append(len(batch))
            return super().forward(batch)

    return Counting


def both_ways(layer, images):
    """The output, and the gradient of its sum weighted at random."""
    x = images.detach()
    x.stop_gradient = False
    output = layer(x)
    paddle.seed(3)
    weights = paddle.randn(output.shape).astype(output.dtype)
    (gradient,) = paddle.grad((output * weights).sum(), x)
    return output, gradient
