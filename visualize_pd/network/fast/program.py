"""One convolution, or its gradient, as a program of one operation for Paddle's inference engine.

The weights are inputs of the program, like the images. So the same program serves any network. It
takes only one or two milliseconds to make a program.
"""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import paddle

from .onednn import Run, create_runner


class Convolution(NamedTuple):
    """All settings on which the program of a convolution depends."""

    operation: str
    strides: tuple[int, ...]
    paddings: tuple[int, ...]
    padding_algorithm: str
    dilations: tuple[int, ...]
    groups: int
    fast_gradient: bool
    threads: int


# Each variable of each program needs its own name. oneDNN keeps data under names and shapes. With
# equal names, a program could get the data of another program.
_NUMBERS = itertools.count()


def convolution_program(kind: Convolution, given: list[str], result: str) -> Run:
    """A function that runs the operation of `kind`.

    It takes the tensors for the slots `given`, and returns that of the slot `result`.
    """
    number = next(_NUMBERS)
    inputs = {slot: f"{slot} {number}" for slot in given}
    text: Any = _description(kind, inputs, result, f"{result} {number}").serialize_to_string()
    config = paddle.inference.Config()
    config.set_model_buffer(text, len(text), "", 0)
    if hasattr(config, "enable_new_ir"):  # Paddle 3
        config.enable_new_ir(False)
    config.switch_ir_optim(False)
    return create_runner(config, list(inputs.values()), kind.threads)


def _description(kind: Convolution, inputs: dict[str, str], result: str, output: str) -> Any:
    """The program, in the form that both Paddle 2 and Paddle 3 can read."""
    backwards = result.endswith("@GRAD")
    core = paddle.base.core
    types = core.VarDesc.VarType
    description = core.ProgramDesc()
    block = description.block(0)
    for name in (*inputs.values(), output):
        variable = block.var(name.encode())
        variable.set_type(types.LOD_TENSOR)
        variable.set_dtype(types.FP32)
        variable.set_shape([-1] * 4)
    block.var(b"feed").set_type(types.FEED_MINIBATCH)
    block.var(b"fetch").set_type(types.FETCH_LIST)
    for column, name in enumerate(inputs.values()):
        _append(block, "feed", {"X": "feed"}, {"Out": name}, col=column)
    _append(
        block,
        kind.operation + "_grad" if backwards else kind.operation,
        inputs,
        {result: output},
        strides=list(kind.strides),
        paddings=list(kind.paddings),
        padding_algorithm=kind.padding_algorithm,
        dilations=list(kind.dilations),
        groups=kind.groups,
        data_format="NCHW",
        use_mkldnn=kind.fast_gradient or not backwards,
        is_test=False,  # with True, oneDNN keeps the first weights that it gets
    )
    _append(block, "fetch", {"X": output}, {"Out": "fetch"}, col=0)
    return description


def _append(block: Any, operation: str, inputs: dict, outputs: dict, **attributes: Any) -> None:
    op = block.append_op()
    op.set_type(operation)
    for slot, name in inputs.items():
        op.set_input(slot, [name])
    for slot, name in outputs.items():
        op.set_output(slot, [name])
    for name, value in attributes.items():
        op._set_attr(name, value)
