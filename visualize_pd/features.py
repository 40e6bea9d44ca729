"""Which layers' outputs a score depends on, and which of them are feature maps."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import paddle

from .errors import ConfigError, ModelError, nearest

Calls = Sequence[tuple[paddle.nn.Layer, Any]]


def graph_of(tensor: paddle.Tensor) -> list[Any]:
    """Every node of the graph that was recorded on the way to a tensor."""
    nodes: dict[Any, None] = {}
    waiting = [tensor.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is not None and node not in nodes:
            nodes[node] = None
            waiting.extend(node.next_functions)
    return list(nodes)


def find_layers(network: paddle.nn.Layer, names: str | Sequence[str]) -> list[paddle.nn.Layer]:
    """Layers by their names, as `network.named_sublayers()` has them.

    Raises `ConfigError` for an unknown one, with the closest.
    """
    known = dict(network.named_sublayers())
    names = [names] if isinstance(names, str) else names
    if not isinstance(names, (list, tuple)):
        names = [names]
    if not names:
        raise ConfigError("no layer named")
    for name in names:
        if not isinstance(name, str) or name not in known:
            raise ConfigError(f"no layer '{name}' in the network; {nearest(str(name), known)}")
    return [known[name] for name in names]


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
    maps = [output for output in outputs if _is_maps(output)]
    if not maps:
        shape = getattr(outputs[-1], "shape", type(outputs[-1]).__name__)
        raise ConfigError(f"layer '{name}' returns {shape}, not feature maps [N, C, H, W]")
    return maps[-1]


def last_maps(calls: Calls, logits: paddle.Tensor) -> tuple[paddle.nn.Layer, paddle.Tensor]:
    """The last convolutional feature maps that the logits depend on, and their layer.

    That is the last output as large as that of the last convolution, so after its activation,
    normalisation and shortcut, and before any pooling. Raises `ModelError` where there is none.
    """
    nodes = set(graph_of(logits))
    every = [(layer, out) for layer, out in calls if _is_maps(out)]
    found = [(layer, out) for layer, out in every if out.grad_fn in nodes] or every
    spatial = [(layer, out) for layer, out in found if out.shape[2] * out.shape[3] > 1]
    convolved = [(layer, out) for layer, out in spatial if isinstance(layer, paddle.nn.Conv2D)]
    for candidates in (convolved, spatial, found):
        if candidates:
            size = candidates[-1][1].shape[2:]
            return [(layer, out) for layer, out in found if out.shape[2:] == size][-1]
    raise ModelError("the network has no convolutional feature maps for this; try another method")


def unruled_relus(logits: paddle.Tensor, ruled: Collection) -> Iterator[str]:
    """Recorded operations that keep a ReLU from `hooks.relu_rule`, which `ruled` the others."""
    for node in graph_of(logits):
        is_relu = node.name() in ("ReluGradNode", "Relu6GradNode") and node not in ruled
        if is_relu or "RunProgram" in node.name():
            yield node.name()


def _is_maps(output: Any) -> bool:
    return isinstance(output, paddle.Tensor) and output.ndim == 4
