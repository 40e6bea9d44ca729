"""Whether a network is still the one from which a program was made."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np
import paddle

ROW = 8 * 1021  # bytes. A prime number, so that filters that change places are seen


def fingerprint(network: paddle.nn.Layer, read: Sequence[paddle.Tensor]) -> Any:
    """It changes with the layers, their plain attributes, and the values of the tensors `read`."""
    about = [
        (
            type(layer),
            id(vars(layer).get("forward")),  # one that was put in place of the type's own
            [id(each) for each in (*layer._parameters.values(), *layer._buffers.values())],
            [pair for pair in map(_plain, vars(layer).items()) if pair],
        )
        for layer in network.sublayers(include_self=True)
    ]
    return about, [_sums(tensor) for tensor in read]


def _plain(attribute: tuple[str, Any]) -> tuple[str, Any] | None:
    """An attribute and a copy of its value, if that is a number, a text, or a sequence of them."""
    name, value = attribute
    if isinstance(value, (tuple, list)):
        return (name, tuple(value)) if all(isinstance(each, PLAIN) for each in value) else None
    return attribute if isinstance(value, PLAIN) and name not in PASSING else None


PASSING = ("training", "_built")  # they do not change a frozen network
PLAIN = (bool, int, float, str, type(None))


def _sums(tensor: paddle.Tensor) -> tuple[bytes, bytes]:
    """The bits of all numbers, laid out as a table and added along its columns; and the rest."""
    tensor = tensor if tensor.is_contiguous() else tensor.contiguous()
    size = 4 * int(np.prod(tensor.shape))
    memory = np.frombuffer(_memory(tensor.data_ptr(), size), "uint8")
    if size < ROW:
        return b"", memory.tobytes()
    end = size // ROW * ROW
    table = memory[:end].view("uint64").reshape(-1, ROW // 8)
    return table.sum(axis=0).tobytes(), memory[end:].tobytes()


def _memory(address: int, size: int) -> memoryview:
    return memoryview((ctypes.c_ubyte * size).from_address(address))
