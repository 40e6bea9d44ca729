"""The backward pass of a network, as a list of operations.

A convolution of stride 1 goes backwards as a convolution with the turned kernel. So oneDNN keeps
its tensors in one order in both directions, and need not turn them between two layers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..convolution import FEW_CHANNELS
from ..operations import Operation, fresh
from .simplify import GEOMETRY, SIX, Simplified, convolution


class Backward:
    """The operations that follow those of a network, and give the gradient of the images.

    `slopes` is the name of ∂ score / ∂ logits, `[N, classes]`. `gradient` is that of the result.
    Raises `KeyError` for a kind of operation that has no rule here.
    """

    def __init__(self, network: Simplified, slopes: str):
        self.network, self.operations = network, list[Operation]()
        self.shapes = network.traced.shapes
        self.by_onednn = keep_by_onednn(network.operations, network.constants, BETWEEN)
        self.reached = _reached(network.operations, "images")
        self.waiting: dict[str, list[str]] = {network.traced.output: [slopes]}
        for op in reversed(network.operations):
            if op.out in self.reached and op.out in self.waiting:
                RULES[op.kind](self, op, self.slope(op.out))
        self.gradient = self.slope("images")

    def add(self, kind: str, inputs: Any, slot: str, by_onednn: bool = False, **others: Any) -> str:
        """Append an operation. Returns the name of its output, which is in the `slot`."""
        like, output = others.pop("like", None), fresh("slope")
        attributes = {**others, "use_mkldnn": by_onednn} if by_onednn else others
        outputs = {slot: output, **({"XShape": fresh("shape")} if kind in WITH_SHAPE else {})}
        self.operations.append(Operation(kind, inputs, outputs, attributes, like))
        if by_onednn:
            self.by_onednn.add(output)
        return output

    def give(self, name: str, slope: str) -> None:
        """Say that `slope` is a part of the gradient of the variable `name`."""
        if name in self.reached:
            self.shapes.setdefault(slope, self.shapes[name])
            self.waiting.setdefault(name, []).append(slope)

    def slope(self, name: str) -> str:
        """The gradient of a variable: the sum of its parts."""
        total, *others = self.waiting[name]
        for other in others:
            alike = self.alike(total, other)
            total = self.add("elementwise_add", {"X": total, "Y": other}, "Out", alike, axis=-1)
            self.shapes[total] = self.shapes[name]
        return total

    def product(self, x: str, y: str, turn_x: bool, turn_y: bool) -> str:
        """A product of matrices, each as it is or transposed."""
        return self.add("matmul_v2", {"X": x, "Y": y}, "Out", trans_x=turn_x, trans_y=turn_y)

    def alike(self, *names: str) -> bool:
        """Whether oneDNN has made all these variables, so that they are in one order."""
        return self.by_onednn.issuperset(names)


def keep_by_onednn(
    operations: list[Operation], constants: Mapping[str, Any], kinds: Sequence[str]
) -> set[str]:
    """Let oneDNN do what lies between its convolutions. Returns the variables that it makes."""
    made: set[str] = set()
    for op in operations:
        inputs = {*op.inputs.get("X", []), *op.inputs.get("Y", [])} - constants.keys()
        uneven = op.read("adaptive") and list(op.read("ksize")) != [1, 1]  # oneDNN has no such pool
        if op.kind in ALWAYS or (op.kind in kinds and made.issuperset(inputs) and not uneven):
            op.attributes["use_mkldnn"] = True
        if op.kind not in ALWAYS and op.attributes.get("use_mkldnn"):
            made.add(op.out)
    return made


def _reached(operations: list[Operation], start: str) -> set[str]:
    """The variables that depend on `start`."""
    found = {start}
    for op in operations:
        if any(name in found for names in op.inputs.values() for name in names):
            found.update(name for names in op.outputs.values() for name in names)
    return found


WITH_SHAPE = ("reshape2", "transpose2")  # they have one more output
ALWAYS = ("gelu", "softmax")  # oneDNN does them several times as fast, in any order
BETWEEN = ("relu", "relu6", "elementwise_add", "hard_swish")
FORWARDS = (*BETWEEN, "pool2d", "concat", "elementwise_mul")  # without a backward pass


def _convolution(back: Backward, op: Operation, slope: str) -> None:
    if op.attributes["fuse_activation"]:
        slope = _gate(back, op.attributes["fuse_activation"], op.out, slope)
        back.shapes[slope] = back.shapes[op.out]
    geometry = {name: op.attributes[name] for name in GEOMETRY}
    weight = back.network.constants[op.inputs["Filter"][0]]
    groups, channels = geometry["groups"], back.shapes[op.x][1]
    depthwise = groups > 1 and groups == len(weight) == channels
    padding = _turned_padding(geometry, weight.shape[2:])
    if padding and (groups == 1 or depthwise):
        turned = (weight if depthwise else weight.swapaxes(0, 1))[:, :, ::-1, ::-1]
        name, output = fresh("turned weight"), fresh("slope")
        back.network.constants[name] = np.ascontiguousarray(turned)
        geometry = {**geometry, "paddings": padding}
        back.operations.append(convolution(slope, name, None, output, geometry))
        back.by_onednn.add(output)
    else:
        kind = "depthwise_conv2d_grad" if depthwise else "conv2d_grad"
        inputs = {"Input": op.x, "Filter": op.inputs["Filter"], "Output@GRAD": slope}
        further = {**geometry, "data_format": "NCHW", "is_test": False}
        # For a picture, Paddle's own is faster.
        output = back.add(kind, inputs, "Input@GRAD", channels >= FEW_CHANNELS, **further)
        if depthwise:  # oneDNN gives it in another order
            back.by_onednn.discard(output)
    back.give(op.x, output)


def _turned_padding(geometry: dict[str, Any], kernel: tuple[int, ...]) -> list[int] | None:
    """The padding of the turned convolution. None if there is no such convolution."""
    ones = [*geometry["strides"], *geometry["dilations"]] == [1, 1, 1, 1]
    if not ones or geometry["padding_algorithm"] != "EXPLICIT":
        return None
    before = list(geometry["paddings"])
    before = before if len(before) == 4 else [before[0], before[0], before[1], before[1]]
    sides = [kernel[0], kernel[0], kernel[1], kernel[1]]
    turned = [side - 1 - each for side, each in zip(sides, before)]
    if min(turned) < 0:
        return None
    alike = turned[0] == turned[1] and turned[2] == turned[3]
    return [turned[0], turned[2]] if alike else turned


def _gate(back: Backward, kind: str, output: str, slope: str) -> str:
    """The slope before a ReLU or ReLU6. Its output tells where it is open."""
    alike = back.alike(output, slope)
    if kind == "relu6" and alike:
        inputs = {"X": output, "Out@GRAD": slope}
        return back.add("clip_grad", inputs, "X@GRAD", True, min=0.0, max=SIX)
    others = {"threshold": SIX} if kind == "relu6" else {}
    return back.add(f"{kind}_grad", {"Out": output, "Out@GRAD": slope}, "X@GRAD", alike, **others)


def _relu(back: Backward, op: Operation, slope: str) -> None:
    back.give(op.x, _gate(back, op.kind, op.out, slope))


def _by_input(back: Backward, op: Operation, slope: str) -> None:
    inputs = {"X": op.x, "Out@GRAD": slope}
    alike = op.kind in ALWAYS or (op.kind in BETWEEN and back.alike(op.x, slope))
    back.give(op.x, back.add(f"{op.kind}_grad", inputs, "X@GRAD", alike, like=op.like))


def _by_output(back: Backward, op: Operation, slope: str) -> None:
    inputs = {"Out": op.out, "Out@GRAD": slope}
    always = op.kind in ALWAYS
    back.give(op.x, back.add(f"{op.kind}_grad", inputs, "X@GRAD", always, like=op.like))


def _add(back: Backward, op: Operation, slope: str) -> None:
    if op.y in back.reached and back.shapes[op.x] != back.shapes[op.y]:
        raise KeyError("a sum of different shapes")
    for name in (op.x, op.y):
        back.give(name, slope)


def _multiply(back: Backward, op: Operation, slope: str) -> None:
    """A product of two images, or of an image and `[N, C, 1, 1]`, as in SE blocks, or constants."""
    for name, other in ((op.x, op.y), (op.y, op.x)):
        if name in back.reached:
            alike = back.alike(slope) and other in back.network.constants
            part = back.add("elementwise_mul", {"X": slope, "Y": other}, "Out", alike, axis=-1)
            if back.shapes[name] != back.shapes[op.out]:
                if back.shapes[name] != [*back.shapes[op.out][:2], 1, 1]:
                    raise KeyError("a product of different shapes")
                part = back.add("reduce_sum", {"X": part}, "Out", dim=[2, 3], keep_dim=True)
            back.give(name, part)


def _concatenate(back: Backward, op: Operation, slope: str) -> None:
    names, axis = op.inputs["X"], op.read("axis") % len(back.shapes[op.out])
    parts = [fresh("slope") for _ in names]
    sections = [back.shapes[name][axis] for name in names]
    attributes = {"sections": sections, "num": 0, "axis": axis}
    back.operations.append(Operation("split", {"X": slope}, {"Out": parts}, attributes))
    for name, part in zip(names, parts):
        back.give(name, part)


def _split(back: Backward, op: Operation, slope: str) -> None:
    slopes = [slope, *(back.slope(name) for name in op.outputs["Out"][1:])]
    axis = op.read("axis") % len(back.shapes[op.x])
    back.give(op.x, back.add("concat", {"X": slopes}, "Out", axis=axis))


def _roll(back: Backward, op: Operation, slope: str) -> None:
    shifts = [-shift for shift in op.read("shifts")]
    back.give(op.x, back.add("roll", {"X": slope}, "Out", shifts=shifts, axis=op.read("axis")))


def _pool(back: Backward, op: Operation, slope: str) -> None:
    side, size = list(op.read("ksize")), back.shapes[op.x][2:]
    if op.read("adaptive") and side == size:
        back.give(op.x, slope)  # every pixel is its own mean
    elif op.read("pooling_type") == "avg" and (
        op.read("global_pooling") or (op.read("adaptive") and side == [1, 1])
    ):
        share = back.add("scale", {"X": slope}, "Out", scale=1 / (size[0] * size[1]), bias=0.0)
        back.give(op.x, back.add("expand_v2", {"X": share}, "Out", shape=[-1, -1, *size]))
    elif op.read("pooling_type") == "max" and not op.read("adaptive") and _is_plain(op):
        _max_pool(back, op, slope)
    else:
        inputs = {"X": op.x, "Out": op.out, "Out@GRAD": slope}
        back.give(op.x, back.add("pool2d_grad", inputs, "X@GRAD", like=op.like))


def _is_plain(op: Operation) -> bool:
    explicit = op.read("padding_algorithm") == "EXPLICIT" and len(op.read("paddings")) == 2
    return explicit and not op.read("ceil_mode") and not op.read("global_pooling")


def _max_pool(back: Backward, op: Operation, slope: str) -> None:
    """Keep the places of the maxima, so that the backward pass does not have to find them again."""
    op.kind, op.outputs["Mask"] = "max_pool2d_with_index", [fresh("places")]
    inputs = {"X": op.x, "Mask": op.outputs["Mask"], "Out@GRAD": slope}
    back.give(op.x, back.add("max_pool2d_with_index_grad", inputs, "X@GRAD", like=op.like))


def _reshape(back: Backward, op: Operation, slope: str) -> None:
    shape = [-1, *back.shapes[op.x][1:]]
    back.give(op.x, back.add("reshape2", {"X": slope}, "Out", shape=shape))


def _transpose(back: Backward, op: Operation, slope: str) -> None:
    order = [int(axis) for axis in np.argsort(op.read("axis"))]
    back.give(op.x, back.add("transpose2", {"X": slope}, "Out", axis=order))


def _slice(back: Backward, op: Operation, slope: str) -> None:
    inputs = {"Input": op.x, "Out@GRAD": slope}
    back.give(op.x, back.add(f"{op.kind}_grad", inputs, "Input@GRAD", like=op.like))


def _normalise_layer(back: Backward, op: Operation, slope: str) -> None:
    kept = {slot: op.outputs[slot] for slot in ("Mean", "Variance")}
    inputs = {**op.inputs, **kept, "Y@GRAD": slope}
    back.give(op.x, back.add("layer_norm_grad", inputs, "X@GRAD", like=op.like))


def _multiply_matrices(back: Backward, op: Operation, slope: str) -> None:
    """X · Y. A vector times W goes backwards as (W · ∂ᵀ)ᵀ, which MKL does faster than ∂ · Wᵀ."""
    turn_x, turn_y = bool(op.read("trans_x")), bool(op.read("trans_y"))
    if op.y not in back.reached and not turn_x and len(back.shapes[op.x]) == 2:
        turned = back.product(op.y, slope, turn_y, True)
        back.give(op.x, back.add("transpose2", {"X": turned}, "Out", axis=[1, 0]))
        return
    x, y = (back.shapes[name] for name in (op.x, op.y))
    if x[:-2] != y[:-2] and (len(y) != 2 or op.y in back.reached):
        raise KeyError("a product of different shapes")
    if op.x in back.reached:
        part = (slope, op.y, False, not turn_y), (op.y, slope, turn_y, True)
        back.give(op.x, back.product(*part[turn_x]))
    if op.y in back.reached:
        part = (op.x, slope, not turn_x, False), (slope, op.x, True, turn_x)
        back.give(op.y, back.product(*part[turn_y]))


def _scale(back: Backward, op: Operation, slope: str) -> None:
    back.give(op.x, back.add("scale", {"X": slope}, "Out", scale=op.read("scale"), bias=0.0))


Rule = Callable[[Backward, Operation, str], None]
RULES: dict[str, Rule] = {
    "fused_conv2d": _convolution,
    "relu": _relu,
    "relu6": _relu,
    "gelu": _by_input,
    "hard_swish": _by_input,
    "swish": _by_input,
    "silu": _by_input,
    "hard_sigmoid": _by_output,
    "sigmoid": _by_output,
    "softmax": _by_output,
    "elementwise_add": _add,
    "elementwise_mul": _multiply,
    "concat": _concatenate,
    "pool2d": _pool,
    "flatten_contiguous_range": _reshape,
    "reshape2": _reshape,
    "squeeze2": _reshape,
    "unsqueeze2": _reshape,
    "matmul_v2": _multiply_matrices,
    "pad3d": _by_input,
    "reduce_mean": _by_input,
    "roll": _roll,
    "scale": _scale,
    "split": _split,
    "layer_norm": _normalise_layer,
    "slice": _slice,
    "strided_slice": _slice,
    "transpose2": _transpose,
}
