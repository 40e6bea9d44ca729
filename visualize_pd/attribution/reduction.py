"""Reduce a map: keep one sign, and combine the channels."""

from __future__ import annotations

import paddle

from ..core.checks import look_up

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
    """Keep the `sign` part of an attribution, then combine its channels.

    `sign`: signed, absolute, positive, or negative (then the absolute value of the negative part).
    `channel`: max, sum or none. Raises `ConfigError` for another name.
    """
    part, together = look_up("sign", sign, SIGNS), look_up("channel", channel, CHANNELS)
    return together(part(attribution))
