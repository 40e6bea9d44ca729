"""The diversity prior: several images of one class show different things."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import paddle

from ...network.hooks import capture_outputs
from ...network.layers.by_name import find_layers
from ...network.layers.feature_maps import feature_maps_of


class Diversity:
    """How similar the images of a group are to each other (Olah et al. 2017).

    G = A Aᵀ of an image holds how often two channels of a layer are active together, anywhere. The
    penalty is Σ of the cosines between G of one image and G of another image of its group, over all
    pairs, both ways round, divided by the number of images and times the weight. `groups` has a
    number for each image: those with the same number are one group.
    """

    def __init__(self, network: paddle.nn.Layer, layer: str, weight: float, groups: Sequence[int]):
        (self.layer,) = find_layers(network, layer)
        self.name, self.weight = layer, weight
        numbers = paddle.to_tensor(list(groups))
        alike = (numbers.unsqueeze(0) == numbers.unsqueeze(1)).astype("float32")
        self.pairs = alike - paddle.eye(len(groups))
        self.maps: paddle.Tensor

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Record the feature maps of the layer inside the block."""
        with capture_outputs(self.layer) as calls:
            yield
        self.maps = feature_maps_of(self.layer, calls, self.name)

    def penalty(self) -> paddle.Tensor:
        """The similarity of the images, times the weight."""
        values = self.maps.flatten(2)
        together = paddle.matmul(values, values, transpose_y=True).flatten(1)
        directions = together / (together.norm(axis=1, keepdim=True) + 1e-12)
        cosines = paddle.matmul(directions, directions, transpose_y=True)
        return (cosines * self.pairs).sum() * (self.weight / len(values))
