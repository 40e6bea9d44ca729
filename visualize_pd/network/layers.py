"""Layers by their names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import paddle

from ..core.checks import did_you_mean
from ..core.errors import ConfigError

Calls = Sequence[tuple[paddle.nn.Layer, Any]]


def find_layers(network: paddle.nn.Layer, names: str | Sequence[str]) -> list[paddle.nn.Layer]:
    """Layers by their names, as `network.named_sublayers()` has them.

    Raises `ConfigError` for an unknown one, with the closest.
    """
    known = dict(network.named_sublayers())
    wanted: Sequence[Any] = names if isinstance(names, (list, tuple)) else [names]
    if not wanted:
        raise ConfigError("no layer named")
    for name in wanted:
        if not isinstance(name, str) or name not in known:
            raise ConfigError(f"no layer '{name}' in the network; {did_you_mean(str(name), known)}")
    return [known[name] for name in wanted]


def first_weights(
    network: paddle.nn.Layer, channels: int, name: str | None = None
) -> tuple[str, paddle.Tensor]:
    """The first layer, or the one of that name, that filters images of so many channels.

    Return its name and its weights `[filters, channels, h, w]`. Raises `ConfigError` for a layer
    that filters something else.
    """
    layers = dict(network.named_sublayers())
    if name is not None:
        find_layers(network, name)
        layers = {name: layers[name]}
    for found, layer in layers.items():
        weight = getattr(layer, "weight", None)
        if isinstance(weight, paddle.Tensor) and weight.ndim == 4 and weight.shape[1] == channels:
            return found, weight
    what = f"layer '{name}' has" if name else "the network has"
    raise ConfigError(f"{what} no filters of {channels} channels, which images have")
