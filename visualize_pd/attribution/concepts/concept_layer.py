"""The layer whose activations are taken apart into concepts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import paddle

from ...core.errors import ConfigError
from ...network.fast import fast_layers
from ...network.gradients import record_forward
from ...network.hooks import Calls, capture_outputs, frozen
from ...network.layers.by_name import find_layers
from ...network.layers.feature_maps import (
    capture_blocks,
    default_feature_maps,
    feature_maps_of,
    is_feature_maps,
)


class ConceptLayer(NamedTuple):
    """A layer of a network. `call` is the number of the call that returns its feature maps.

    `channels` is the number of channels that they have.
    """

    network: paddle.nn.Layer
    name: str
    layer: paddle.nn.Layer
    call: int
    channels: int

    def activations(self, images: paddle.Tensor) -> np.ndarray:
        """The feature maps of images, one row of channels for each position: `[N, h, w, C]`.

        Raises `ConfigError` for negative ones.
        """
        outputs = capture_outputs(self.layer)
        with frozen(self.network), fast_layers(), paddle.no_grad(), outputs as calls:
            self.network(images)
        maps = feature_maps_of(self.layer, calls, self.name).numpy()
        if maps.min() < 0:
            raise ConfigError(_negative(self.name))
        return maps.transpose(0, 2, 3, 1)


def concept_layer(
    network: paddle.nn.Layer, images: paddle.Tensor, name: str | None = None
) -> ConceptLayer:
    """The layer `name`, or by default the one whose feature maps a CAM takes.

    `images`: one image is enough. Raises `ConfigError` for an unknown layer, for one that does not
    return feature maps, and for negative feature maps.
    """
    with capture_blocks(network) as blocks:
        passed = record_forward(network, images, layers=network.sublayers())
    if name is None:
        layer = default_feature_maps(network, passed, blocks).layer
    else:
        (layer,) = find_layers(network, name)
    names = {id(each): own for own, each in network.named_sublayers()}
    hint = _last_not_negative(passed.calls, names)
    if layer is None:
        raise ConfigError(f"no layer returns the feature maps that a CAM takes; {hint}")
    maps = feature_maps_of(layer, passed.calls, names[id(layer)])
    if bool((maps < 0).any()):
        raise ConfigError(f"{_negative(names[id(layer)])}{hint and '; ' + hint}")
    own = [output for called, output in passed.calls if called is layer]
    call = next(number for number, output in enumerate(own) if output is maps)
    return ConceptLayer(network, names[id(layer)], layer, call, maps.shape[1])


def _negative(name: str) -> str:
    return (
        f"layer '{name}' returns negative numbers, which non-negative factors cannot describe; "
        "name a layer after a ReLU"
    )


def _last_not_negative(calls: Calls, names: dict[int, str]) -> str:
    """A hint that names the last layer with feature maps of several positions, all ≥ 0."""
    found: Sequence[str] = [
        names[id(layer)]
        for layer, output in calls
        if is_feature_maps(output)
        and output.shape[2] * output.shape[3] > 1
        and bool((output >= 0).all())
    ]
    return f"layer={found[-1]} is one" if found else ""
