"""The operations of a network, and the program that a list of operations becomes."""

from __future__ import annotations

import importlib
import itertools
import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import paddle
from paddle.base.layer_helper import LayerHelper
from paddle.nn import functional

Names = dict[str, list[str]]
OTHER = ("Mask", "XShape")  # outputs that do not hold floats

# Each variable of each program needs its own name. oneDNN keeps data under names and shapes. With
# equal names, a program could get the data of another program.
_NUMBERS = itertools.count()


def fresh(name: str) -> str:
    """A name that no other variable has."""
    return f"{name} {next(_NUMBERS)}"


class Operation:
    """One operation of a program: its type, its inputs and outputs by slot, and its attributes.

    `like` is an operation of Paddle's with further attributes, or None.
    """

    def __init__(
        self,
        kind: str,
        inputs: Mapping[str, str | Sequence[str]],
        outputs: Mapping[str, str | Sequence[str]],
        attributes: Mapping[str, Any] | None = None,
        like: Any = None,
    ):
        self.kind, self.like = kind, like
        self.inputs, self.outputs = _lists(inputs), _lists(outputs)
        self.attributes = dict(attributes or {})

    @property
    def x(self) -> str:
        """The first input. It is empty if there is none."""
        return (self.inputs.get("X") or self.inputs.get("Input") or [""])[0]

    @property
    def y(self) -> str:
        """The second input of an operation with two."""
        return self.inputs["Y"][0]

    @property
    def out(self) -> str:
        """The output."""
        return next(self.outputs[s][0] for s in ("Out", "Output", "Y") if s in self.outputs)

    @property
    def names(self) -> list[str]:
        """The variables that it reads and writes."""
        slots = (*self.inputs.values(), *self.outputs.values())
        return list(dict.fromkeys(name for found in slots for name in found))

    def rename(self, names: Mapping[str, str]) -> None:
        """Give other names to variables."""
        for slots in (self.inputs, self.outputs):
            slots.update({s: [names.get(n, n) for n in found] for s, found in slots.items()})

    def read(self, attribute: str) -> Any:
        """An attribute, its own or that of `like`. None if there is none."""
        if attribute in self.attributes or self.like is None:
            return self.attributes.get(attribute)
        return self.like.attr(attribute) if self.like.has_attr(attribute) else None


def _lists(slots: Mapping[str, str | Sequence[str]]) -> Names:
    return {slot: [v] if isinstance(v, str) else list(v) for slot, v in slots.items() if v}


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

    N may be None, for any number of images. Raises `ValueError` for a network that returns anything
    else than one tensor.
    """
    spec = paddle.static.InputSpec(shape, "float32", name="images")
    wrapped: Any = Wrapped(network)
    with _old_operations(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced: Any = paddle.jit.to_static(wrapped.forward, input_spec=[spec], full_graph=True)
        program, _ = traced.get_concrete_program(spec)
    outputs = [each for each in paddle.utils.flatten(program.outputs) if each is not None]
    if len(outputs) != 1:
        raise ValueError("the network returns several tensors")
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
    return Traced(operations, shapes, tensors, outputs[0].name, program)


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


# Functions of Paddle 3 that cannot be traced into these operations, and what stands in for them.
_STAND_INS: dict[str, Callable] = {
    "gelu": _appends("gelu", "X", "approximate"),
    "matmul": _matmul,
    "multiply": lambda x, y, name=None: x * y,
    "roll": _roll,
    "sigmoid": _appends("sigmoid", "X"),
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


def share_memory(
    operations: Sequence[Operation], kept: Sequence[str], shapes: Mapping[str, Sequence[int]]
) -> None:
    """Give variables that are not needed at the same time one name, so that they share memory.

    The names in `kept` stay, those of the inputs and the results.
    """
    fixed = {
        *kept,
        *(name for op in operations for slot in OTHER for name in op.outputs.get(slot, ())),
    }
    last = {name: number for number, op in enumerate(operations) for name in op.names}
    names: dict[str, str] = {}
    sizes: dict[str, int] = {}
    # The names that nothing needs at present, and their sizes. What oneDNN has made has its order.
    free: dict[bool, dict[str, int]] = {True: {}, False: {}}
    of_onednn: dict[str, bool] = {}
    for number, op in enumerate(operations):
        found = op.names
        for name in found:
            if name not in fixed and name not in names:
                size = abs(math.prod(shapes.get(name, [0])))
                of_onednn[name] = bool(op.attributes.get("use_mkldnn"))
                fitting = free[of_onednn[name]]
                own = min(fitting, key=lambda each: abs(fitting[each] - size), default=name)
                names[name], sizes[own] = own, max(size, fitting.pop(own, 0))
        op.rename(names)
        for name in found:
            if name in names and last[name] == number:
                own = names.pop(name)
                free[of_onednn[name]][own] = sizes[own]


def serialised(
    operations: Sequence[Operation], inputs: Sequence[str], outputs: Sequence[str]
) -> Any:
    """The program, in the form that both Paddle 2 and Paddle 3 can read."""
    core = paddle.base.core
    types = core.VarDesc.VarType
    description = core.ProgramDesc()
    block = description.block(0)
    names = {name for op in operations for name in op.names}
    for name in sorted({*names, *inputs}):
        variable = block.var(name.encode())
        variable.set_type(types.LOD_TENSOR)
        variable.set_dtype(types.FP32)
        variable.set_shape([-1] * 4)
    block.var(b"feed").set_type(types.FEED_MINIBATCH)
    block.var(b"fetch").set_type(types.FETCH_LIST)
    feeds = [Operation("feed", {"X": "feed"}, {"Out": x}, {"col": n}) for n, x in enumerate(inputs)]
    fetches = [
        Operation("fetch", {"X": x}, {"Out": "fetch"}, {"col": n}) for n, x in enumerate(outputs)
    ]
    for operation in (*feeds, *operations, *fetches):
        _append(block, operation)
    return description.serialize_to_string()


def _append(block: Any, operation: Operation) -> None:
    op = block.append_op()
    if operation.like is not None:
        op.copy_from(operation.like)
        for slot in list(op.input_names()):
            op.remove_input(slot)
        for slot in list(op.output_names()):
            op.remove_output(slot)
    op.set_type(operation.kind)
    for slot, names in operation.inputs.items():
        op.set_input(slot, names)
    for slot, names in operation.outputs.items():
        op.set_output(slot, names)
    for name, value in operation.attributes.items():
        op._set_attr(name, value)
