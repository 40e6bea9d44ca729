"""Find the feature maps among the outputs of a network's layers."""

from __future__ import annotations

from typing import Any, NamedTuple

import paddle

from ...core.errors import ConfigError, ModelError
from ..gradients import gradients_or_none
from ..hooks import Calls, capture_outputs, frozen


def is_feature_maps(output: Any) -> bool:
    """Whether the output of a layer is a tensor `[N, C, H, W]`."""
    return isinstance(output, paddle.Tensor) and output.ndim == 4


def feature_maps_of(layer: paddle.nn.Layer, calls: Calls, name: str) -> paddle.Tensor:
    """The last feature maps `[N, C, H, W]` that a layer returned.

    Raises `ConfigError` if it returned none.
    """
    outputs = [output for called, output in calls if called is layer]
    if not outputs:
        raise ConfigError(f"the network never calls its layer '{name}'")
    maps = [output for output in outputs if is_feature_maps(output)]
    if not maps:
        shape = getattr(outputs[-1], "shape", type(outputs[-1]).__name__)
        raise ConfigError(f"layer '{name}' returns {shape}, not feature maps [N, C, H, W]")
    return maps[-1]


def layers_of_each_size(network: paddle.nn.Layer, images: paddle.Tensor) -> list[str]:
    """The name of the last layer with each size of feature maps, the largest maps first.

    Maps of a single pixel are left out. Raises `ModelError` if there are none.
    """
    names = {id(layer): name for name, layer in network.named_sublayers()}
    layers = network.sublayers()
    with frozen(network), paddle.no_grad(), capture_outputs(*layers) as calls:
        network(images)
    found: dict[int, str] = {}
    for layer, output in calls:
        if is_feature_maps(output) and output.shape[2] * output.shape[3] > 1:
            found[output.shape[2] * output.shape[3]] = names[id(layer)]
    if not found:
        raise ModelError("the network has no feature maps; name another layer")
    return [found[size] for size in sorted(found, reverse=True)]


def middle_layer(network: paddle.nn.Layer, images: paddle.Tensor) -> str:
    """The name of the last layer before the smallest feature maps."""
    return layers_of_each_size(network, images)[-2:][0]


class FeatureMaps(NamedTuple):
    """Feature maps, the layer that returned them, and ∂ Σ scores / ∂ maps."""

    layer: paddle.nn.Layer
    maps: paddle.Tensor
    slope: paddle.Tensor


def last_feature_maps(calls: Calls, scores: paddle.Tensor) -> FeatureMaps:
    """The last convolutional feature maps that the scores depend on.

    They are the last output with the height and width of the last convolution's output. So they
    come after its activation, normalisation and shortcut, and before any pooling. Raises
    `ModelError` if there are none.
    """
    every = [(layer, out) for layer, out in calls if is_feature_maps(out)]
    spatial = [(layer, out) for layer, out in every if out.shape[2] * out.shape[3] > 1]
    convolved = [(layer, out) for layer, out in spatial if isinstance(layer, paddle.nn.Conv2D)]
    candidates = [call for calls in (convolved, spatial, every) for call in reversed(calls)]
    if not candidates:
        raise ModelError(
            "the network has no convolutional feature maps for this; try another method"
        )

    def as_large(last: paddle.Tensor) -> list[tuple[paddle.nn.Layer, paddle.Tensor]]:
        begin = next(place for place, (_, out) in enumerate(every) if out is last)
        return [(layer, out) for layer, out in every[begin:] if out.shape[2:] == last.shape[2:]]

    for _, last in candidates:
        alike = as_large(last)
        slopes = gradients_or_none(scores, [out for _, out in alike], again=True)
        if slopes[0] is not None:
            return [
                FeatureMaps(layer, out, slope)
                for (layer, out), slope in zip(alike, slopes)
                if slope is not None
            ][-1]
    layer, maps = as_large(candidates[0][1])[-1]
    return FeatureMaps(layer, maps, paddle.zeros_like(maps))
