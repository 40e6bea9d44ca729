"""The statistics prior: in each normalisation layer an image looks like the training images.

DeepInversion (Yin et al. 2020) compares the mean and the variance of each channel with those that
a batch normalisation has kept from training. Here the distance is the divergence of two Gaussians.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import paddle
from paddle.autograd import PyLayer
from paddle.nn import functional

from ...core.errors import ConfigError, ModelError

EPSILON = 1e-3  # added to both variances
LIMIT = 20.0  # the largest divergence of one channel
FORMS = {"divergence": None, "norms": None}
UNIT = 1e-5  # a batch normalisation with this ε and the variance 1 − ε leaves its input as it is


class Statistics:
    """How far the statistics of images are from those of the training images, `[N]`.

    For each normalisation layer with running values μ̂, σ̂², and for each channel of its input with
    the mean μ and the variance σ² over one image, it is ½(r + (μ − μ̂)² / (σ̂² + ε) − 1 − ln r) with
    r = (σ² + ε) / (σ̂² + ε). That is the divergence of two Gaussians, at most 20. It is the mean
    over the channels, and the weighted sum over the layers. `first` is the weight of the first
    layer. Those of the others fall linearly from 1 to `last`, because the late layers of a
    photograph are far from the statistics of all photographs. With the `form` "norms" it is
    ‖μ − μ̂‖ + ‖σ² − σ̂²‖ of each layer, as DeepInversion has it.

    `watch` records the layers while the network runs, then `divergence` is the result.
    """

    def __init__(
        self,
        network: paddle.nn.Layer,
        weight: float,
        first: float = 1.0,
        last: float = 1.0,
        form: str = "divergence",
    ):
        self.layers: list[Any] = normalisations(network)
        if not self.layers:
            raise ConfigError(
                f"priors.statistics needs batch normalisation, which {type(network).__name__} does "
                "not have; leave it out, or set it to auto"
            )
        self.weight, self.first, self.last, self.form = weight, first, last, form
        self.moments: list[tuple[paddle.nn.Layer, paddle.Tensor, paddle.Tensor]] = []
        self.order: list[paddle.nn.Layer] = []  # the layers to which `wanted` belongs
        self.wanted: tuple[paddle.Tensor, paddle.Tensor, paddle.Tensor]

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Record the moments of the inputs of the layers inside the block.

        The network must be frozen. The outputs of the layers stay the same. Passes without
        gradients (`paddle.no_grad`) are not recorded.
        """
        self.moments = []
        own = [(layer, layer.__dict__.get("forward")) for layer in self.layers]
        try:
            for layer, patched in own:
                layer.forward = partial(
                    self._forward, layer, patched or partial(type(layer).forward, layer)
                )
            yield
        finally:
            for layer, patched in own:
                layer.__dict__.pop("forward", None)
                if patched:
                    layer.forward = patched

    def _forward(self, layer: Any, own: Callable, x: paddle.Tensor) -> paddle.Tensor:
        """The output of a layer. The moments of its input are kept, if it has several pixels."""
        if not paddle.is_grad_enabled():
            return own(x)
        layout = str(getattr(layer, "_data_format", getattr(layer, "_data_layout", "NCHW")))
        if x.ndim == 4 and layout == "NCHW" and not layer.training:
            output, mean, square = _NormalisationAndMoments.apply(x, layer, own)
        else:
            output = own(x)
            if x.ndim < 3:
                return output
            last = x.ndim - 1
            first = x if layout.startswith("NC") else x.transpose([0, last, *range(1, last)])
            mean, square = _Moments.apply(first)
        self.moments.append((layer, mean, square))
        return output

    def penalty(self) -> paddle.Tensor:
        """The sum of the divergences of all images, times the weight."""
        return self.weight * self.divergence().sum()

    def divergence(self) -> paddle.Tensor:
        """The divergence of each image, `[N]`, of the last run that was watched."""
        if not self.moments:
            raise ModelError("no batch normalisation saw an image, so there are no statistics")
        layers, means, squares = zip(*self.moments)
        if self.order != list(layers):
            self.order, self.wanted = list(layers), self._wanted(layers)
        wanted_mean, precision, weights = self.wanted
        mean, square = paddle.concat(means, axis=1), paddle.concat(squares, axis=1)
        variance = functional.relu(square - mean * mean) + EPSILON
        distance = mean - wanted_mean
        if self.form == "norms":
            channels = [x.shape[1] for x in means]
            return self._norms(distance, channels) + self._norms(variance - 1 / precision, channels)
        ratio = variance * precision
        each = (ratio + distance * distance * precision - 1 - ratio.log()) / 2
        return paddle.matmul(paddle.clip(each, max=LIMIT), weights)

    def _norms(self, differences: paddle.Tensor, channels: Sequence[int]) -> paddle.Tensor:
        """The weighted sum of the norms of the layers, `[N]`."""
        parts = paddle.split(differences, channels, axis=1)
        norms = paddle.stack([(part * part).sum(axis=1) + 1e-12 for part in parts], axis=1).sqrt()
        return paddle.matmul(norms, paddle.to_tensor(self._weights(len(parts))))

    def _weights(self, count: int) -> list[float]:
        """The weight of each layer: first, 1, … last."""
        falling = [1 + (self.last - 1) * n / max(1, count - 1) for n in range(count)]
        return [self.first, *falling[1:]]

    def _wanted(self, layers: Sequence[Any]) -> tuple[paddle.Tensor, paddle.Tensor, paddle.Tensor]:
        """μ̂, 1 / (σ̂² + ε) and the weight of each channel of all layers."""
        weights = []
        for layer, weight in zip(layers, self._weights(len(layers))):
            channels = layer._mean.shape[0]
            weights.append(paddle.full([channels], weight / channels))
        mean = paddle.concat([layer._mean for layer in layers])
        variance = paddle.concat([layer._variance for layer in layers])
        return mean, 1 / (variance + EPSILON), paddle.concat(weights)


def normalisations(network: paddle.nn.Layer) -> list[paddle.nn.Layer]:
    """The layers that keep the mean and the variance of their input."""
    return [
        layer
        for layer in network.sublayers(include_self=True)
        if isinstance(getattr(layer, "_mean", None), paddle.Tensor)
        and isinstance(getattr(layer, "_variance", None), paddle.Tensor)
    ]


class _Moments(PyLayer):
    """The means of x and of x² of each channel of each image, `[N, C]`."""

    @staticmethod
    def forward(context: Any, x: paddle.Tensor) -> tuple[paddle.Tensor, paddle.Tensor]:
        context.save_for_backward(x)
        return _moments(x)

    @staticmethod
    def backward(
        context: Any, mean_slope: paddle.Tensor, square_slope: paddle.Tensor
    ) -> paddle.Tensor:
        (x,) = context.saved_tensor()
        return _slope(x, mean_slope, square_slope)


class _NormalisationAndMoments(PyLayer):
    """The output of a frozen batch normalisation, and the moments of its input.

    The backward pass of the normalisation is one multiplication, here computed by another batch
    normalisation. This takes less than half the time of Paddle's own.
    """

    @staticmethod
    def forward(context: Any, x: paddle.Tensor, layer: Any, own: Any) -> tuple[paddle.Tensor, ...]:
        context.save_for_backward(x)
        context.layer = layer
        return (own(x), *_moments(x))

    @staticmethod
    def backward(
        context: Any, slope: paddle.Tensor, mean_slope: paddle.Tensor, square_slope: paddle.Tensor
    ) -> paddle.Tensor:
        (x,) = context.saved_tensor()
        layer = context.layer
        nothing = paddle.zeros_like(layer._mean)
        weight = paddle.ones_like(nothing) if layer.weight is None else layer.weight
        through = functional.batch_norm(
            slope, nothing, layer._variance, weight, nothing, epsilon=layer._epsilon
        )
        return through.add_(_slope(x, mean_slope, square_slope))


def _moments(x: paddle.Tensor) -> tuple[paddle.Tensor, paddle.Tensor]:
    """Matrix products, because Paddle's `mean` and `var` take ten to a hundred times as long."""
    rows = x.reshape([x.shape[0] * x.shape[1], 1, -1])
    size = rows.shape[2]
    share = paddle.full([size, 1], 1 / size, dtype=x.dtype)
    mean = paddle.matmul(rows.reshape([-1, size]), share)
    square = paddle.matmul(rows, rows, transpose_y=True) / size
    return mean.reshape(x.shape[:2]), square.reshape(x.shape[:2])


def _slope(
    x: paddle.Tensor, mean_slope: paddle.Tensor, square_slope: paddle.Tensor
) -> paddle.Tensor:
    """a + b · x with an a and a b for each channel: the fastest way is a batch normalisation."""
    rows = x.reshape([1, x.shape[0] * x.shape[1], -1, 1])
    channels, size = rows.shape[1:3]
    nothing, unit = paddle.zeros([channels]), paddle.full([channels], 1 - UNIT)
    constant, factor = mean_slope.flatten() / size, square_slope.flatten() * (2 / size)
    change = functional.batch_norm(rows, nothing, unit, factor, constant, epsilon=UNIT)
    return change.reshape(x.shape)
