"""Keep the attention of a transformer: the weights with which its tokens look at each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

import paddle

from ...core.errors import ConfigError
from .by_name import find_layers

_softmax = paddle._C_ops.softmax


class Attention(NamedTuple):
    """The weights `[N, heads, T, T]` of one attention, or `[N · heads, T, T]`.

    `inside` are the layers that were running, from the outermost to the innermost.
    """

    weights: paddle.Tensor
    inside: tuple[paddle.nn.Layer, ...]

    def by_head(self, values: paddle.Tensor, count: int) -> paddle.Tensor:
        """Values that have the shape of the weights, for `count` images: `[N, heads, T, T]`."""
        return values.reshape([count, -1, *values.shape[-2:]])


@contextmanager
def capture_attention(
    network: paddle.nn.Layer, names: str | Sequence[str] | None = None, cut: bool = False
) -> Iterator[list[Attention]]:
    """Collect the self-attention of every forward pass inside the block, in order.

    It is what a softmax returns in the shape `[…, T, T]`. All plain attention in Paddle calls the
    operation that is replaced here, so layers and functions are both found. `names`: layers whose
    outputs are the attention, if no softmax makes it; a `*` stands for any letters. With `cut` the
    weights are the start of the graph: nothing before them gets a gradient through them.
    Raises `ConfigError` for unknown layers.
    """
    found: list[Attention] = []
    running: list[paddle.nn.Layer] = []
    named = [] if names is None else _named(network, names)

    def keep(output: Any) -> Any:
        weights = output[-1] if isinstance(output, (tuple, list)) and output else output
        if isinstance(weights, paddle.Tensor) and _is_square(weights):
            if cut:
                weights = weights.detach()
            weights.stop_gradient = False  # also attention that does not depend on the image
            found.append(Attention(weights, tuple(running)))
            return weights if not isinstance(output, (tuple, list)) else (*output[:-1], weights)
        return output

    def softmax(*inputs: Any, **options: Any) -> Any:
        output = _softmax(*inputs, **options)
        return keep(output) if not named and paddle.in_dynamic_mode() else output

    def begin(layer: paddle.nn.Layer, _inputs: Any) -> Any:
        running.append(layer)

    def end(layer: paddle.nn.Layer, _inputs: Any, output: Any) -> Any:
        running.pop()
        return keep(output) if any(layer is each for each in named) else output

    handles = [layer.register_forward_pre_hook(begin) for layer in network.sublayers()]
    handles += [layer.register_forward_post_hook(end) for layer in network.sublayers()]
    try:
        paddle._C_ops.softmax = softmax
        yield found
    finally:
        paddle._C_ops.softmax = _softmax
        for handle in handles:
            handle.remove()


def _named(network: paddle.nn.Layer, names: str | Sequence[str]) -> list[paddle.nn.Layer]:
    known = [name for name, _ in network.named_sublayers()]
    wanted: list[Any] = []
    for name in [names] if isinstance(names, str) else names:
        pattern = isinstance(name, str) and "*" in name
        matches = [each for each in known if fnmatchcase(each, name)] if pattern else [name]
        if not matches:
            raise ConfigError(f"no layer of the network is called like '{name}'")
        wanted += matches
    return find_layers(network, wanted)


def _is_square(weights: paddle.Tensor) -> bool:
    return weights.ndim in (3, 4) and weights.shape[-1] == weights.shape[-2] > 1


def blocks_of(found: Sequence[Attention]) -> list[paddle.nn.Layer | None]:
    """For each attention, the outermost layer in which no other attention ran."""
    counts: dict[int, int] = {}
    for each in found:
        for layer in each.inside:
            counts[id(layer)] = counts.get(id(layer), 0) + 1
    return [
        next((layer for layer in each.inside if counts[id(layer)] == 1), None) for each in found
    ]
