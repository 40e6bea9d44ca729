"""One convolution, or its gradient, as a program of one operation for Paddle's inference engine.

The weights are inputs of the program, like the images. So the same program serves any network. It
takes only one or two milliseconds to make a program.
"""

from __future__ import annotations

from typing import NamedTuple

from .onednn import Run, run_program
from .operations import Operation, fresh, serialised


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


def convolution_program(kind: Convolution, given: list[str], result: str) -> Run:
    """A function that runs the operation of `kind`.

    It takes the tensors for the slots `given`, and returns that of the slot `result`.
    """
    backwards = result.endswith("@GRAD")
    inputs, output = {slot: fresh(slot) for slot in given}, fresh(result)
    operation = Operation(
        kind.operation + "_grad" if backwards else kind.operation,
        inputs,
        {result: output},
        {
            "strides": list(kind.strides),
            "paddings": list(kind.paddings),
            "padding_algorithm": kind.padding_algorithm,
            "dilations": list(kind.dilations),
            "groups": kind.groups,
            "data_format": "NCHW",
            "use_mkldnn": kind.fast_gradient or not backwards,
            "is_test": False,  # with True, oneDNN keeps the first weights that it gets
        },
    )
    names = list(inputs.values())
    return run_program(serialised([operation], names, [output]), names, kind.threads)
