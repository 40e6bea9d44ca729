"""RefineCAM: the product of the maps of several layers, from coarse to fine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import paddle
from paddle.nn import functional

from ...core.checks import check_count
from ...core.errors import ConfigError, ModelError
from ...network.gradients import differentiate, record_forward
from ...network.layers.by_name import find_layers
from ...network.layers.feature_maps import (
    FeatureMaps,
    capture_blocks,
    default_feature_maps,
    finer_feature_maps,
    named_feature_maps,
)
from ...network.layers.tokens import Tokens
from ...network.scores import Score
from .pipeline import to_one


def refine_cam(
    network: paddle.nn.Layer,
    images: paddle.Tensor,
    targets: Any = None,
    *,
    target_layer: str | Sequence[str] | None = None,
    levels: int = 3,
    power: float = 0.5,
    score: Score = "logit",
) -> paddle.Tensor:
    """(Π M_l)^p over layers l, each M_l in [0, 1] (RefineCAM, Domeniconi et al. 2026).

    `[N, 1, H, W]`, not negative. M_l is the map of Layer-CAM of one layer, enlarged to the size of
    the images and divided by its maximum. So a place counts only if all layers agree on it: the
    coarse layers tell where the class is, and the fine ones tell the outlines.

    `levels`: how many sizes of feature maps are joined. By default it is the last feature maps and
    the next larger sizes, of each the last output on which the score depends. `power` p: 1 is the
    product of the paper, and a smaller number shows more of the weak places in the same order.
    `target_layer`: the names of the layers in place of these; they may return tokens. `score` is
    that of the other CAMs.

    Raises `ConfigError` for an unknown layer, `ModelError` for a network without feature maps, and
    for a transformer if no layers are named: all of its tokens are of one size.
    """
    check_count("levels", levels)
    if isinstance(power, bool) or not isinstance(power, (int, float)) or not 0 < power <= 1:
        raise ConfigError(f"power must be over 0 and at most 1, not {power!r}")
    product: Any = 1.0
    for found in _found(network, images, targets, target_layer, levels, score):
        slope = found.slope_of_maps
        if slope is not None:
            small = (slope.clip(min=0) * found.maps).sum(axis=1, keepdim=True).clip(min=0)
            heat = functional.interpolate(small.detach(), size=images.shape[2:], mode="bilinear")
            product = product * to_one(heat)
    return product if power == 1 else product**power


def _found(
    network: paddle.nn.Layer,
    images: paddle.Tensor,
    targets: Any,
    names: str | Sequence[str] | None,
    levels: int,
    score: Score,
) -> list[FeatureMaps]:
    """The feature maps of the layers, with their gradients, by one forward pass."""
    layers = network.sublayers()
    if names is None:
        with capture_blocks(network) as blocks:
            passed = record_forward(network, images, targets, score=score, layers=layers)
        last = default_feature_maps(network, passed, blocks)
        if isinstance(last.layout, Tokens):
            raise ModelError(
                "refine_cam joins feature maps of several sizes, and the tokens of this network "
                "are of one size; name several layers as target_layer, or use grad_cam"
            )
        return [last, *finer_feature_maps(passed, last, levels - 1)]
    names = [names] if isinstance(names, str) else names
    named = find_layers(network, names)
    passed = record_forward(network, images, targets, score=score, layers=layers)
    found = [named_feature_maps(network, passed, *each) for each in zip(names, named)]
    slopes = differentiate(passed.scores, [each.output for each in found])
    return [each._replace(slope=slope) for each, slope in zip(found, slopes)]
