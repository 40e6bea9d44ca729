"""A network is frozen, and its layers' outputs are kept, for the length of a `with` block."""

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
def capture_outputs(*layers: paddle.nn.Layer) -> Iterator[list[tuple[paddle.nn.Layer, Any]]]:
    """Collect `(layer, what it returned)`, in the order in which calls end, in the block."""
    calls: list[tuple[paddle.nn.Layer, Any]] = []

    def note(layer: paddle.nn.Layer, _inputs: Any, out: Any) -> Any:
        calls.append((layer, out))

    handles = [layer.register_forward_post_hook(note) for layer in layers]
    try:
        yield calls
    finally:
        for handle in handles:
            handle.remove()
