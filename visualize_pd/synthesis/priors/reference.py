"""The reference prior: layers return the same values as for photographs of the class."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import paddle

from ...network.hooks import capture_outputs, frozen
from ...network.layers.by_name import find_layers
from ...network.layers.feature_maps import feature_maps_of, layers_of_each_size


class Reference:
    """How far the activations of images are from those of photographs (VITAL, Görgün et al. 2025).

    The values of each channel of a layer are sorted, for each image. For the photographs, `q` is
    the mean of these sorted values. The distance of an image is Σ (sorted A − q)² / Σ q², over all
    channels and places; it is the mean over the layers. So an image shows the parts that the
    photographs show, but its parts may lie in other places. If an image has another size than the
    photographs, `q` is interpolated. `photographs` are `[1, C, H, W]` each. `layers` are by default
    the last ones of each size of feature maps, without the largest. `watch` records the layers,
    then `penalty` is the sum of the distances of all images, times the weight.
    """

    def __init__(
        self,
        network: paddle.nn.Layer,
        photographs: Sequence[paddle.Tensor],
        weight: float,
        layers: Sequence[str] | None = None,
    ):
        self.names = list(layers or layers_of_each_size(network, photographs[0])[1:])
        self.layers, self.weight = find_layers(network, self.names), weight
        self.maps: list[paddle.Tensor] = []
        total: list[Any] = [0.0] * len(self.names)
        with frozen(network), paddle.no_grad():
            for photograph in photographs:
                with self.watch():
                    network(photograph)
                values = (maps.flatten(2).sort(axis=-1)[0] for maps in self.maps)
                total = [before + each for before, each in zip(total, values)]
        self.wanted = [each / len(photographs) for each in total]
        self.sizes = [float((each * each).sum()) or 1.0 for each in self.wanted]

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Record the feature maps of the layers inside the block."""
        with capture_outputs(*self.layers) as calls:
            yield
        self.maps = [
            feature_maps_of(layer, calls, name) for layer, name in zip(self.layers, self.names)
        ]

    def penalty(self) -> paddle.Tensor:
        """The sum of the distances of all images, times the weight."""
        total: Any = 0.0
        for maps, wanted, size in zip(self.maps, self.wanted, self.sizes):
            values = maps.flatten(2)
            places = values.shape[2]
            quantiles = wanted
            if places != wanted.shape[1]:
                between = paddle.to_tensor(interpolation(wanted.shape[1], places))
                quantiles = paddle.matmul(wanted, between)
            change = values - _in_order_of(values.detach(), quantiles)
            total = total + (change * change).sum() * (wanted.shape[1] / places / size)
        return total * (self.weight / len(self.maps))


def _in_order_of(values: paddle.Tensor, quantiles: paddle.Tensor) -> paddle.Tensor:
    """`quantiles` `[C, P]` rearranged: the smallest where `values` `[N, C, P]` are smallest, ….

    This makes the sum of the squared differences as small as it can be. Its gradient is the same as
    that of the sorted values.
    """
    order = values.argsort(axis=-1)
    wanted = quantiles.unsqueeze(0).expand(values.shape)
    return paddle.put_along_axis(paddle.zeros_like(values), order, wanted, axis=2)


def interpolation(before: int, after: int) -> np.ndarray:
    """The matrix `[before, after]` that interpolates sorted values, as fractions of their rank."""
    places = np.clip((np.arange(after) + 0.5) * before / after - 0.5, 0, before - 1)
    low = np.minimum(places.astype(int), max(0, before - 2))
    weights = np.zeros((before, after), "float32")
    np.add.at(weights, (low, np.arange(after)), 1 - (places - low))
    np.add.at(weights, (np.minimum(low + 1, before - 1), np.arange(after)), places - low)
    return weights
