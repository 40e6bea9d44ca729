"""What is done to a network for the length of a `with` block, and undone after it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import paddle


@contextmanager
def frozen(network: paddle.nn.Layer) -> Iterator[None]:
    """Evaluation mode, and no gradients for parameters; after it each is as it was.

    Frozen parameters save more than half of the backward pass.
    """
    modes = [(layer, layer.training) for layer in network.sublayers(include_self=True)]
    trainable = [p for p in network.parameters() if not p.stop_gradient]
    try:
        network.eval()
        for parameter in trainable:
            parameter.stop_gradient = True
        yield
    finally:
        for parameter in trainable:
            parameter.stop_gradient = False
        for layer, training in modes:
            layer.training = training


@contextmanager
def capture(layer: paddle.nn.Layer) -> Iterator[list[Any]]:
    """Collect what `layer` returns, one entry a call, while the block runs."""
    outputs: list[Any] = []
    handle = layer.register_forward_post_hook(lambda _layer, _inputs, out: outputs.append(out))
    try:
        yield outputs
    finally:
        handle.remove()
