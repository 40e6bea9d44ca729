"""Explanations by the gradient of the class score with respect to the image."""

from __future__ import annotations

from typing import Any

import paddle

from .errors import ConfigError
from .gradients import input_gradient

CHANNELS = {
    "max": lambda maps: maps.max(axis=1, keepdim=True),
    "sum": lambda maps: maps.sum(axis=1, keepdim=True),
    "none": lambda maps: maps,
}
SIGNS = {
    "absolute": paddle.abs,
    "positive": lambda maps: maps.clip(min=0),
    "negative": lambda maps: (-maps).clip(min=0),
    "signed": lambda maps: maps,
}


def reduce(attribution: paddle.Tensor, channel: str, sign: str) -> paddle.Tensor:
    """Take the `sign` part of an attribution, then put its channels together.

    `channel`: max, sum or none; `sign`: absolute, positive, negative (its size) or signed.
    """
    for name, value, known in (("channel", channel, CHANNELS), ("sign", sign, SIGNS)):
        if value not in known:
            raise ConfigError(f"unknown {name} '{value}'; use {', '.join(known)}")
    return CHANNELS[channel](SIGNS[sign](attribution))


def gradient(
    network: paddle.nn.Layer,
    images: paddle.Tensor,
    targets: Any = None,
    *,
    channel: str = "none",
    sign: str = "signed",
) -> paddle.Tensor:
    """∂S_c/∂I (Simonyan et al. 2013, equation 4): `[N, C, H, W]`, in logits per normalised unit."""
    return reduce(input_gradient(network, images, targets), channel, sign)


def saliency(
    network: paddle.nn.Layer,
    images: paddle.Tensor,
    targets: Any = None,
    *,
    channel: str = "max",
    sign: str = "absolute",
) -> paddle.Tensor:
    """max over channels of |∂S_c/∂I| (Simonyan et al. 2013, section 3.1): `[N, 1, H, W]`, ≥ 0."""
    return reduce(input_gradient(network, images, targets), channel, sign)


def grad_times_input(
    network: paddle.nn.Layer,
    images: paddle.Tensor,
    targets: Any = None,
    *,
    channel: str = "none",
    sign: str = "signed",
) -> paddle.Tensor:
    """I · ∂S_c/∂I (Shrikumar et al. 2016): `[N, C, H, W]`; with a linear score it sums to it."""
    return reduce(images.detach() * input_gradient(network, images, targets), channel, sign)
