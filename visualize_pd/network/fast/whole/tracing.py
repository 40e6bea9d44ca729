"""The operations of a network, in their order."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import paddle
from paddle.base.layer_helper import LayerHelper
from paddle.nn import functional

from ..operations import Operation


class Traced(NamedTuple):
    """The operations of a network in their order, and what they are about.

    `shapes` are those of all variables, with −1 for the number of images. `tensors` are the
    parameters and buffers by the names of their variables. `program` keeps the operations alive.
    """

    operations: list[Operation]
    shapes: dict[str, list[int]]
    tensors: dict[str, paddle.Tensor]
    output: str
    program: Any


class Wrapped(paddle.nn.Layer):
    """A layer that calls the network. With `not_to_static` Paddle does not rewrite its methods."""

    def __init__(self, network: paddle.nn.Layer):
        super().__init__()
        self.network = network
        self.training = False

    @paddle.jit.not_to_static
    def forward(self, images: paddle.Tensor) -> Any:
        return self.network(images)


def trace(network: paddle.nn.Layer, shape: Sequence[int | None]) -> Traced:
    """The operations of a frozen network for images of `shape`, `[N, C, H, W]`, named `images`.

    N may be None, for any number of images. Of several outputs the first one counts. Raises any
    error for a network that cannot be traced.
    """
    spec = paddle.static.InputSpec(shape, "float32", name="images")
    wrapped: Any = Wrapped(network)
    with _old_operations(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced: Any = paddle.jit.to_static(wrapped.forward, input_spec=[spec], full_graph=True)
        program, _ = traced.get_concrete_program(spec)
    output, *_ = (each for each in paddle.utils.flatten(program.outputs) if each is not None)
    block = program.main_program.global_block()
    operations = [
        Operation(
            op.type(),
            {slot: op.input(slot) for slot in op.input_names()},
            {slot: op.output(slot) for slot in op.output_names()},
            like=op,
        )
        for op in (each.desc for each in block.ops)
    ]
    for op in operations:
        if op.kind == "set_value":  # it changes its input, which the next operations read
            op.outputs["Out"] = op.inputs["Input"]
    shapes = {name: list(var.shape) for name, var in block.vars.items()}
    tensors = {tensor.name: tensor for tensor in program.parameters}
    return Traced(operations, shapes, tensors, output.name, program)


@contextmanager
def _old_operations() -> Iterator[None]:
    """Paddle 3 traces into the operations of Paddle 2, which the engine runs by oneDNN."""
    guard = getattr(getattr(paddle, "pir_utils", None), "OldIrGuard", None)
    if guard is None:
        yield
        return
    own = [(module, name, getattr(module, name)) for module, name, _ in UNTRACEABLE]
    with guard():
        paddle.disable_static()
        try:
            for module, name, function in UNTRACEABLE:
                setattr(module, name, function)
            yield
        finally:
            for module, name, function in own:
                setattr(module, name, function)
            paddle.enable_static()


def _appends(kind: str, slots: str, *attributes: str) -> Callable:
    """A function of tensors for the `slots`, and of `attributes`. It appends an operation."""

    def function(*given: Any, name: str | None = None, **named: Any) -> Any:
        tensors, others = given[: len(slots)], given[len(slots) :]
        helper = LayerHelper(kind)
        output = helper.create_variable_for_type_inference(tensors[0].dtype)
        helper.append_op(
            type=kind,
            inputs={slot: [tensor] for slot, tensor in zip(slots, tensors)},
            outputs={"Out": [output]},
            attrs={**dict(zip(attributes, others)), **named},
        )
        return output

    return function


def _matmul(
    x: Any, y: Any, transpose_x: bool = False, transpose_y: bool = False, name: str | None = None
) -> Any:
    return _appends("matmul_v2", "XY", "trans_x", "trans_y")(x, y, transpose_x, transpose_y)


def _roll(x: Any, shifts: Any, axis: Any = None, name: str | None = None) -> Any:
    lists = ([each] if isinstance(each, int) else list(each or ()) for each in (shifts, axis))
    return _appends("roll", "X", "shifts", "axis")(x, *lists)


def _sum(
    x: Any, axis: Any = None, dtype: Any = None, keepdim: bool = False, name: str | None = None
) -> Any:
    everything = axis is None or axis == []
    axes = [axis] if isinstance(axis, int) else list(axis or [0])
    named = {"dim": axes, "keep_dim": keepdim, "reduce_all": everything}
    return _appends("reduce_sum", "X")(x, **named)


# Functions of Paddle 3 that cannot be traced into these operations, and what stands in for them.
_STAND_INS: dict[str, Callable] = {
    **{name: _appends(name, "X") for name in ("abs", "exp", "log", "rsqrt", "sigmoid", "sqrt")},
    "bmm": _appends("bmm", "XY"),
    "gelu": _appends("gelu", "X", "approximate"),
    "matmul": _matmul,
    "maximum": _appends("elementwise_max", "XY"),
    "minimum": _appends("elementwise_min", "XY"),
    "multiply": lambda x, y, name=None: x * y,
    "roll": _roll,
    "sum": _sum,
    "tanh": _appends("tanh", "X"),
}
_PLACES = (
    *(paddle, functional, paddle.static.Variable, paddle._C_ops),
    importlib.import_module("paddle.tensor"),  # `paddle.tensor` may be a function
)
UNTRACEABLE: list[tuple[Any, str, Callable]] = [
    (place, name, function)
    for name, function in _STAND_INS.items()
    for place in _PLACES
    if hasattr(place, name)
]
