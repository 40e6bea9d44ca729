"""A whole network as one program: its logits, and if wanted the gradient of the images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np
import paddle

from ...hooks import frozen
from ..onednn import run_program, threads
from ..operations import Operation, serialised, share_memory
from .backward import FORWARDS, Backward, keep_by_onednn
from .fingerprint import fingerprint
from .simplify import Simplified
from .tracing import Traced, trace

ANY = -1  # how Paddle writes an open number of images


class Program(NamedTuple):
    """A program for images of one size, and what its numbers depend on besides the images.

    `run` takes the images, and for a gradient ∂ score / ∂ logits. It returns the logits, and the
    gradient of the images. `any_count`: whether it takes any number of images, or only that of the
    images for which it was made. `read` are the tensors whose values are in its constants.
    """

    run: Callable[..., list[np.ndarray]]
    any_count: bool
    classes: int
    read: list[paddle.Tensor]
    fingerprint: Any

    def is_of(self, network: paddle.nn.Layer) -> bool:
        """Whether the network is as it was when the program was made."""
        return self.fingerprint == fingerprint(network, self.read)


def build(network: paddle.nn.Layer, shape: Sequence[int], backwards: bool) -> Program:
    """The program of a network for images of this shape, forwards or also backwards.

    Any error means that there is none: a network that cannot be traced, or an operation without a
    rule.
    """
    traced = _traced(network, shape)
    simplified = Simplified(traced, backwards)
    operations, inputs, results = simplified.operations, ["images"], [traced.output]
    if backwards:
        backward = Backward(simplified, "slopes")
        operations = [*operations, *backward.operations]
        inputs, results = [*inputs, "slopes"], [*results, backward.gradient]
    else:
        keep_by_onednn(operations, simplified.constants, FORWARDS)
    operations = _needed(operations, results)
    used = {name for op in operations for name in op.names}
    fed = {name: tensor for name, tensor in traced.tensors.items() if name in used}
    for name, array in simplified.constants.items():
        if name in used:
            fed[name] = paddle.to_tensor(array, place=paddle.CPUPlace())
    names = [*inputs, *fed]
    share_memory(operations, [*names, *results], traced.shapes)
    run = run_program(serialised(operations, names, results), names, threads(), keeps=True)
    read = list(simplified.read.values())
    count, *classes = traced.shapes[traced.output]
    return Program(
        lambda *given: run(*given, *fed.values()),
        count == ANY,
        int(np.prod(classes)),
        read,
        fingerprint(network, read),
    )


def _traced(network: paddle.nn.Layer, shape: Sequence[int]) -> Traced:
    """The operations for any number of images; if there are none, for the number in `shape`.

    Transformers often have that number in their reshapes.
    """
    with frozen(network):
        with suppress(Exception):  # whatever the network raises
            traced = trace(network, [None, *shape[1:]])
            if traced.shapes[traced.output][0] == ANY:
                return traced
        return trace(network, shape)


def _needed(operations: Sequence[Operation], results: Sequence[str]) -> list[Operation]:
    """The operations without those that nothing reads."""
    read, needed = set(results), list[Operation]()
    for op in reversed(operations):
        if read.intersection(name for names in op.outputs.values() for name in names):
            needed.append(op)
            read.update(name for names in op.inputs.values() for name in names)
    return needed[::-1]
