"""Operations, and the program that a list of them becomes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import paddle

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


def share_memory(
    operations: Sequence[Operation], kept: Sequence[str], shapes: Mapping[str, Sequence[int]]
) -> None:
    """Give variables that are not needed at the same time one name, so that they share memory.

    The largest ones choose first. The names in `kept` stay, those of the inputs and the results.
    """
    fixed = {
        *kept,
        *(name for op in operations for slot in OTHER for name in op.outputs.get(slot, ())),
    }
    spans: dict[str, tuple[int, int]] = {}
    of_onednn: dict[str, bool] = {}  # what oneDNN has made has its order
    for number, op in enumerate(operations):
        for name in op.names:
            if name not in fixed:
                spans[name] = spans.get(name, (number,))[0], number
                of_onednn.setdefault(name, bool(op.attributes.get("use_mkldnn")))
    shared: dict[str, list[tuple[int, int]]] = {}  # the spans of all variables with this name
    names: dict[str, str] = {}
    for name in sorted(spans, key=lambda each: -abs(math.prod(shapes.get(each, [0])))):
        fitting = (
            own
            for own, taken in shared.items()
            if of_onednn[own] == of_onednn[name]
            and all(not _overlap(each, spans[name]) for each in taken)
        )
        names[name] = next(fitting, name)
        shared.setdefault(names[name], []).append(spans[name])
    for op in operations:
        op.rename(names)


def _overlap(one: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether two spans have an operation in common. Its output may not lie on its input."""
    return one[0] <= other[1] and other[0] <= one[1]


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
