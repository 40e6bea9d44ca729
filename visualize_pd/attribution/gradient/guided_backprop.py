"""Gradients for which ReLUs have another backward rule."""

from __future__ import annotations

from typing import Any

import paddle

from ...network.gradients import input_gradient
from ...network.scores import Score
from ..reduction import reduce


def guided_backprop(
    network: paddle.nn.Layer,
    images: paddle.Tensor,
    targets: Any = None,
    *,
    score: Score = "logit",
    channel: str = "none",
    sign: str = "signed",
) -> paddle.Tensor:
    """∂S_c/∂I; at every ReLU negative gradients become 0 (Springenberg et al. 2015, section 3.4).

    `[N, C, H, W]`. In a network without ReLUs it is the gradient. Raises `ModelError` if the rule
    cannot reach a ReLU.
    """
    attribution = input_gradient(network, images, targets, score=score, relu="guided")
    return reduce(attribution, channel, sign)


def deconvnet(
    network: paddle.nn.Layer,
    images: paddle.Tensor,
    targets: Any = None,
    *,
    score: Score = "logit",
    channel: str = "none",
    sign: str = "signed",
) -> paddle.Tensor:
    """The gradient, but every ReLU passes back all positive values (Zeiler & Fergus 2014).

    `[N, C, H, W]`. Negative values become 0. The input of the ReLU is ignored (Simonyan et al.
    2013, section 4). In a network without ReLUs it is the gradient. Raises `ModelError` if the rule
    cannot reach a ReLU.
    """
    attribution = input_gradient(network, images, targets, score=score, relu="deconvnet")
    return reduce(attribution, channel, sign)
