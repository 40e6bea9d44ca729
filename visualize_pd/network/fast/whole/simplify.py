"""Fewer operations for the same outputs: what follows a convolution becomes a part of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import paddle

from ..operations import Operation, fresh
from .tracing import Traced

CONVOLUTIONS = ("conv2d", "depthwise_conv2d")
GEOMETRY = ("strides", "paddings", "padding_algorithm", "dilations", "groups")
SIX = 6.0  # where ReLU6 ends
GATED = ("relu", "relu6")  # their outputs tell their gradients
UNGATED = ("hard_sigmoid", "hard_swish", "sigmoid")  # with them there is no gradient


class Simplified:
    """The operations of a traced network, in which each convolution holds what follows it.

    A bias, a batch normalisation and a ReLU or ReLU6 after a convolution become a part of it, if
    nothing else reads what lies between. So a normalisation costs nothing: its factors are
    multiplied into the weights. `constants` are the new weights and biases by name. `read` are the
    tensors of the network from which they were made.
    """

    def __init__(self, traced: Traced, backwards: bool):
        self.traced = traced
        self.fused = GATED if backwards else (*GATED, *UNGATED)
        self.constants: dict[str, np.ndarray] = {}
        self.read: dict[str, paddle.Tensor] = {}
        self.operations: list[Operation] = []
        self._readers = Counter(
            name for op in traced.operations for names in op.inputs.values() for name in names
        )
        self._readers[traced.output] += 1
        self._same: dict[str, str] = {}  # variables that are another one
        self._biases: dict[str, str] = {}  # those of convolutions, as `[1, C, 1, 1]`
        self._made: dict[str, Operation] = {}  # the convolution that makes a variable
        for operation in traced.operations:
            self._add(operation)

    def _add(self, op: Operation) -> None:
        inputs = {slot: [self._same.get(n, n) for n in names] for slot, names in op.inputs.items()}
        op = Operation(op.kind, inputs, op.outputs, like=op.like)
        if op.kind == "dropout":
            self._drop(op)
        elif op.kind in CONVOLUTIONS:
            self._add_convolution(op)
        elif not self._joined(op) and op.kind == "batch_norm":
            self._add_normalisation(op)
        elif op.out not in self._made:
            self.operations.append(op)
            if op.kind == "reshape2" and op.x in self.traced.tensors:
                channels = self.traced.tensors[op.x].shape[0]
                if self.traced.shapes[op.out] == [1, channels, 1, 1]:
                    self._biases[op.out] = op.x

    def _add_convolution(self, op: Operation) -> None:
        weight, bias = fresh("weight"), fresh("bias")
        self.constants[weight] = self._values(op.inputs["Filter"][0])
        self.constants[bias] = np.zeros(len(self.constants[weight]), "float32")
        geometry = {name: op.read(name) for name in GEOMETRY}
        self._made[op.out] = convolution(op.x, weight, bias, op.out, geometry)
        self.operations.append(self._made[op.out])

    def _drop(self, op: Operation) -> None:
        """A dropout does nothing, or it multiplies by the share that it keeps."""
        if op.read("dropout_implementation") == "upscale_in_train":
            self._same[op.out] = op.x
        else:
            kept = {"scale": 1 - op.read("dropout_prob"), "bias": 0.0}
            self.operations.append(Operation("scale", {"X": op.x}, {"Out": op.out}, kept))

    def _add_normalisation(self, op: Operation) -> None:
        """A normalisation that does not follow a convolution: factor · x + constant."""
        names = fresh("factor"), fresh("constant")
        product = fresh("product")
        ones = [1] * (len(self.traced.shapes[op.x]) - 2)
        for name, values in zip(names, self._factor_and_constant(op)):
            self.constants[name] = values.reshape(1, -1, *ones)
        self.traced.shapes[product] = self.traced.shapes[op.x]
        for kind, x, y, out in (
            ("elementwise_mul", op.x, names[0], product),
            ("elementwise_add", product, names[1], op.out),
        ):
            self.operations.append(Operation(kind, {"X": x, "Y": y}, {"Out": out}, {"axis": -1}))

    def _factor_and_constant(self, op: Operation) -> tuple[np.ndarray, np.ndarray]:
        mean, variance, scale, shift = (
            self._values(op.inputs[slot][0]) for slot in ("Mean", "Variance", "Scale", "Bias")
        )
        factor = scale / np.sqrt(variance + op.read("epsilon"))
        return factor, shift - mean * factor

    def _joined(self, op: Operation) -> bool:
        """Whether an operation became a part of the convolution before it."""
        before = self._made.get(op.x)
        if before is None or self._readers[op.x] > 1 or before.attributes["fuse_activation"]:
            return False
        weight, bias = before.inputs["Filter"][0], before.inputs["Bias"][0]
        if op.kind == "batch_norm":
            factor, constant = self._factor_and_constant(op)
            self.constants[weight] = self.constants[weight] * factor[:, None, None, None]
            self.constants[bias] = self.constants[bias] * factor + constant
        elif op.kind == "elementwise_add" and op.y in self._biases:
            self.constants[bias] = self.constants[bias] + self._values(self._biases[op.y])
        elif op.kind in self.fused:
            before.attributes["fuse_activation"] = op.kind
            before.attributes.update(zip(("fuse_alpha", "fuse_beta"), _numbers(op)))
        else:
            return False
        before.outputs = {"Output": [op.out]}
        self._made[op.out] = before
        return True

    def _values(self, name: str) -> np.ndarray:
        self.read[name] = self.traced.tensors[name]
        return self.read[name].numpy()


def _numbers(op: Operation) -> tuple[float, ...]:
    """α and β of an activation, as oneDNN calls them."""
    if op.kind == "hard_sigmoid":
        return op.read("slope"), op.read("offset")
    return {"relu6": (0.0, SIX), "hard_swish": (1 / 6, 0.5)}.get(op.kind, ())


def convolution(
    x: str, weight: str, bias: str | None, output: str, geometry: dict[str, Any]
) -> Operation:
    """A convolution of oneDNN with its bias. It keeps the first weights that it gets."""
    fixed = {"data_format": "NCHW", "use_mkldnn": True, "is_test": True, "fuse_activation": ""}
    slots: dict[str, str | Sequence[str]] = {"Input": x, "Filter": weight, "Bias": bias or ()}
    attributes = {**fixed, "mkldnn_data_type": "float32", **geometry}
    return Operation("fused_conv2d", slots, {"Output": output}, attributes)
