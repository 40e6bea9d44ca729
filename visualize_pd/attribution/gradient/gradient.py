"""The gradient of the class score with respect to the image."""

from __future__ import annotations

from typing import Any

import paddle

from ...network.gradients import input_gradient
from ...network.scores import Score
from ..reduction import reduce


def gradient(
    network: paddle.nn.Layer,
    images: paddle.Tensor,
    targets: Any = None,
    *,
    score: Score = "logit",
    channel: str = "none",
    sign: str = "signed",
) -> paddle.Tensor:
    """∂S_c/∂I (Simonyan et al. 2013, equation 4): `[N, C, H, W]`, in logits per normalised unit."""
    return reduce(input_gradient(network, images, targets, score=score), channel, sign)


def saliency(
    network: paddle.nn.Layer,
    images: paddle.Tensor,
    targets: Any = None,
    *,
    score: Score = "logit",
    channel: str = "max",
    sign: str = "absolute",
) -> paddle.Tensor:
    """max over channels of |∂S_c/∂I| (Simonyan et al. 2013, section 3.1): `[N, 1, H, W]`, ≥ 0."""
    return reduce(input_gradient(network, images, targets, score=score), channel, sign)


def grad_times_input(
    network: paddle.nn.Layer,
    images: paddle.Tensor,
    targets: Any = None,
    *,
    score: Score = "logit",
    channel: str = "none",
    sign: str = "signed",
) -> paddle.Tensor:
    """I · ∂S_c/∂I (Shrikumar et al. 2016): `[N, C, H, W]`; for a linear score it sums to S_c."""
    attribution = input_gradient(network, images, targets, score=score) * images.detach()
    return reduce(attribution, channel, sign)
