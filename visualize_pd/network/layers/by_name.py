"""Find layers of a network by their names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import paddle

from ...core.checks import did_you_mean
from ...core.errors import ConfigError


def find_layers(network: paddle.nn.Layer, names: str | Sequence[str]) -> list[paddle.nn.Layer]:
    """The layers with these names. The names are those of `network.named_sublayers()`.

    Raises `ConfigError` for an unknown name. The message gives the closest known one.
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
    """The first layer whose filters take images with `channels` channels, or the layer `name`.

    Returns the name of the layer and its weights `[filters, channels, h, w]`. Raises `ConfigError`
    if there are no such filters.
    """
    layers = dict(network.named_sublayers())
    if name is not None:
        find_layers(network, name)
        layers = {name: layers[name]}
    for layer_name, layer in layers.items():
        weight = getattr(layer, "weight", None)
        if isinstance(weight, paddle.Tensor) and weight.ndim == 4 and weight.shape[1] == channels:
            return layer_name, weight
    what = f"layer '{name}' has" if name else "the network has"
    raise ConfigError(f"{what} no filters of {channels} channels, the number that images have")
