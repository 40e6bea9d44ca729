"""Layers by their names, and which of their outputs are feature maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import paddle

from .errors import ConfigError, nearest

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
            raise ConfigError(f"no layer '{name}' in the network; {nearest(str(name), known)}")
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


def maps_of(layer: paddle.nn.Layer, calls: Calls, name: str) -> paddle.Tensor:
    """The last `[N, C, H, W]` that a layer returned; `ConfigError` where there is none."""
    outputs = [output for called, output in calls if called is layer]
    if not outputs:
        raise ConfigError(f"the network never calls its layer '{name}'")
    maps = [output for output in outputs if is_maps(output)]
    if not maps:
        shape = getattr(outputs[-1], "shape", type(outputs[-1]).__name__)
        raise ConfigError(f"layer '{name}' returns {shape}, not feature maps [N, C, H, W]")
    return maps[-1]


def unruled_relus(logits: paddle.Tensor, ruled: Sequence[paddle.Tensor]) -> list[str]:
    """Recorded operations that keep a ReLU from `hooks.relu_rule`, which returned the others.

    Paddle never frees a graph that was asked for its nodes; `logits.backward()` empties it.
    """
    known = {output.grad_fn for output in ruled}
    found, seen, waiting = [], set(), [logits.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        waiting.extend(node.next_functions)
        kind = node.name().lower().replace("compat", "")  # "reluGradNodeCompat": an older way
        is_relu = kind in ("relugradnode", "relu6gradnode") and node not in known
        if is_relu or "RunProgram" in node.name():
            found.append(node.name())
    return found


def is_maps(output: Any) -> bool:
    """Whether a layer's output is `[N, C, H, W]`."""
    return isinstance(output, paddle.Tensor) and output.ndim == 4
