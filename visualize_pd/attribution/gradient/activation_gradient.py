"""The gradient of one filter's activation."""

from __future__ import annotations

from typing import Any

import paddle

from ...core.checks import check_count
from ...core.errors import ConfigError
from ...network.gradients import differentiate, record_forward
from ...network.layers.by_name import find_layers
from ...network.layers.feature_maps import (
    capture_blocks,
    default_feature_maps,
    feature_maps_of,
)
from ...network.scores import Score
from ..reduction import reduce


def activation_gradient(
    network: paddle.nn.Layer,
    images: paddle.Tensor,
    targets: Any = None,
    *,
    layer: str | None = None,
    filter: int | None = None,
    guided: bool = True,
    score: Score = "logit",
    channel: str = "none",
    sign: str = "signed",
) -> paddle.Tensor:
    """∂ Σ A_k/∂I of one filter k of a layer, by guided backprop (Springenberg et al. 2015).

    `[N, C, H, W]`: it shows what the filter sees in this image. The class is ignored. `layer`:
    its name, or None for the last convolutional feature maps on which `score` depends. `filter`:
    its channel, or None for the channel with the largest sum in each image. `guided=False` takes
    the plain gradient. Raises `ConfigError` for a layer or a filter that the network does not have.
    """
    layers = network.sublayers() if layer is None else find_layers(network, layer)
    relu = "guided" if guided else None
    with capture_blocks(network) as blocks:
        passed = record_forward(network, images, score=score, relu=relu, layers=layers)
    if layer is None:
        with paddle.enable_grad():
            maps = default_feature_maps(network, passed, blocks).maps
    else:
        maps = feature_maps_of(layers[0], passed.calls, layer)
    with paddle.enable_grad():
        excitations = maps.sum(axis=[2, 3])
    if filter is None:
        chosen = excitations.detach().argmax(axis=1)
    else:
        check_count("filter", filter, 0)
        if filter >= maps.shape[1]:
            raise ConfigError(f"no filter {filter}; this layer has {maps.shape[1]}, from 0 on")
        chosen = paddle.full([len(images)], filter, dtype="int64")
    with paddle.enable_grad():
        scores = paddle.take_along_axis(excitations, chosen.unsqueeze(1), axis=1)
    (attribution,) = differentiate(scores, [passed.images])
    return reduce(attribution, channel, sign)
