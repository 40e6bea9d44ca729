"""Gradients with another rule for ReLUs."""

from __future__ import annotations

from typing import Any

import paddle

from ...network.gradients import input_gradient
from ..reduction import reduce


def guided_backprop(
    network: paddle.nn.Layer,
    images: paddle.Tensor,
    targets: Any = None,
    *,
    score: str = "logit",
    channel: str = "none",
    sign: str = "signed",
) -> paddle.Tensor:
    """∂S_c/∂I, cut at every ReLU where it is negative (Springenberg et al. 2015, section 3.4).

    `[N, C, H, W]`. Without ReLUs it is the gradient. Raises `ModelError` for a ReLU out of reach.
    """
    attribution = input_gradient(network, images, targets, score=score, relu="guided")
    return reduce(attribution, channel, sign)


def deconvnet(
    network: paddle.nn.Layer,
    images: paddle.Tensor,
    targets: Any = None,
    *,
    score: str = "logit",
    channel: str = "none",
    sign: str = "signed",
) -> paddle.Tensor:
    """Zeiler & Fergus 2014: ReLUs rectify what comes back, and nothing else (Simonyan et al. 4).

    `[N, C, H, W]`. Without ReLUs it is the gradient. Raises `ModelError` for a ReLU out of reach.
    """
    attribution = input_gradient(network, images, targets, score=score, relu="deconvnet")
    return reduce(attribution, channel, sign)
