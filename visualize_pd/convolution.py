"""Convolutions by oneDNN on a CPU: several times faster than Paddle's own, above all backwards.

Each kind of convolution is a program of one operation for Paddle's inference engine, and its
gradient another. The weights are given to it like the images, so it knows nothing of a network, and
it takes but a millisecond or two to make.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import paddle
from paddle.autograd import PyLayer
from paddle.nn.functional import conv

from .onednn import Run, as_tensor, runner, threads

_OWN = conv._conv_nd

# For 1×1 kernels oneDNN is slower than Paddle's matrix products; and with fewer channels, those of
# pictures, for small kernels, and for gradients.
FEW_CHANNELS = 16
SMALL_KERNEL = 3 * 3
TOLERANCE = 1e-5


class _Kind(NamedTuple):
    """All that tells one convolution's programs from another's."""

    operation: str
    strides: tuple[int, ...]
    paddings: tuple[int, ...]
    padding_algorithm: str
    dilations: tuple[int, ...]
    groups: int
    quick_gradient: bool
    threads: int


def convolution(
    x: paddle.Tensor,
    weight: paddle.Tensor,
    bias: paddle.Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    padding_algorithm: Any = None,
    dilation: Any = 1,
    groups: int = 1,
    data_format: Any = "NCHW",
    channel_dim: int = 1,
    op_type: str = "conv2d",
    **others: Any,
) -> paddle.Tensor:
    """In place of Paddle's `_conv_nd`, with its arguments: frozen ones are by oneDNN."""

    def own() -> paddle.Tensor:
        options = (stride, padding, padding_algorithm, dilation, groups, data_format, channel_dim)
        return _OWN(x, weight, bias, *options, op_type, **others)

    parameters = [weight] if bias is None else [weight, bias]
    sides = (stride, padding, dilation)
    if not (
        op_type in ("conv2d", "depthwise_conv2d")
        and data_format == "NCHW"
        and all(isinstance(side, (list, tuple)) for side in sides)
        and eligible(x, *parameters)
    ):
        return own()
    strides, paddings, dilations = map(tuple, sides)
    area = weight.shape[2] * weight.shape[3]
    few = x.shape[1] < FEW_CHANNELS
    if area == 1 or (few and area <= SMALL_KERNEL):
        return own()
    programs = _programs(
        _Kind(
            *(op_type, strides, paddings, padding_algorithm, dilations, groups),
            quick_gradient=not few,
            threads=threads(),
        )
    )
    if not programs:
        return own()
    forwards, backwards = programs

    def there(x: paddle.Tensor) -> paddle.Tensor:
        output = forwards(x, weight)
        if bias is not None:
            output += bias.numpy()[:, None, None]
        return as_tensor(output)

    def back(x: paddle.Tensor, slope: paddle.Tensor) -> paddle.Tensor:
        return as_tensor(backwards(x, weight, slope))

    return BothWays.apply(x, there, back) if wants_gradient(x) else there(x)


def eligible(x: paddle.Tensor, *parameters: paddle.Tensor) -> bool:
    """On a CPU, in single precision, and the parameters are frozen."""
    return (
        paddle.in_dynamic_mode()
        and x.place.is_cpu_place()
        and all(tensor.dtype == paddle.float32 for tensor in (x, *parameters))
        and all(parameter.stop_gradient for parameter in parameters)
    )


def wants_gradient(x: paddle.Tensor) -> bool:
    return paddle.is_grad_enabled() and not x.stop_gradient


class BothWays(PyLayer):
    """A function of a tensor, and that of its input and the output's gradient: the input's."""

    @staticmethod
    def forward(context: Any, x: paddle.Tensor, there: Callable, back: Callable) -> paddle.Tensor:
        context.save_for_backward(x)
        context.back = back
        return there(x)

    @staticmethod
    def backward(context: Any, slope: paddle.Tensor) -> paddle.Tensor:
        (x,) = context.saved_tensor()
        return context.back(x, slope)


@lru_cache(maxsize=256)
def _programs(kind: _Kind) -> tuple[Run, Run] | None:
    """Forwards and backwards; None where they do not run, or give other numbers than Paddle's own.

    Found out once, with numbers at random.
    """
    width = 1 if kind.operation == "depthwise_conv2d" else FEW_CHANNELS
    channels, size = kind.groups * width, 12 + 2 * max(kind.dilations)
    random = np.random.default_rng(0)

    def some(*shape: int) -> paddle.Tensor:
        numbers = random.standard_normal(shape).astype("float32")
        return paddle.to_tensor(numbers, place=paddle.CPUPlace())

    x, weight = some(2, channels, size, size + 1), some(channels, width, 3, 3)
    x.stop_gradient = False
    try:
        with paddle.enable_grad():
            geometry = (kind.strides, kind.paddings, kind.padding_algorithm, kind.dilations)
            output = _OWN(x, weight, None, *geometry, kind.groups, op_type=kind.operation)
        slope = some(*output.shape)
        output.backward(slope)
        expected: list[Any] = [output, x.grad]
        forwards = _program(kind, ["Input", "Filter"], "Output")
        backwards = _program(kind, ["Input", "Filter", "Output@GRAD"], "Input@GRAD")
        found = forwards(x, weight), backwards(x, weight, slope)
    except Exception:  # a Paddle without oneDNN, or with another engine
        return None
    alike = all(
        np.abs(one - other.numpy()).max() <= TOLERANCE * np.abs(other.numpy()).max()
        for one, other in zip(found, expected)
    )
    return (forwards, backwards) if alike else None


# Every variable of every program has a name of its own: what oneDNN keeps goes by names and shapes,
# and Paddle may take it for that of another program.
_NUMBERS = itertools.count()


def _program(kind: _Kind, given: list[str], result: str) -> Run:
    """One operation, from the tensors in the slots `given` to that in `result`.

    In the form that both Paddles read.
    """
    backwards = result.endswith("@GRAD")
    number = next(_NUMBERS)
    inputs = {slot: f"{slot} {number}" for slot in given}
    output = f"{result} {number}"
    core = paddle.base.core
    types = core.VarDesc.VarType
    description = core.ProgramDesc()
    block = description.block(0)

    def append(operation: str, inputs: dict, outputs: dict, **attributes: Any) -> None:
        one = block.append_op()
        one.set_type(operation)
        for slot, name in inputs.items():
            one.set_input(slot, [name])
        for slot, name in outputs.items():
            one.set_output(slot, [name])
        for name, value in attributes.items():
            one._set_attr(name, value)

    for name in (*inputs.values(), output):
        variable = block.var(name.encode())
        variable.set_type(types.LOD_TENSOR)
        variable.set_dtype(types.FP32)
        variable.set_shape([-1] * 4)
    block.var(b"feed").set_type(types.FEED_MINIBATCH)
    block.var(b"fetch").set_type(types.FETCH_LIST)
    for column, name in enumerate(inputs.values()):
        append("feed", {"X": "feed"}, {"Out": name}, col=column)
    append(
        kind.operation + "_grad" if backwards else kind.operation,
        inputs,
        {result: output},
        strides=list(kind.strides),
        paddings=list(kind.paddings),
        padding_algorithm=kind.padding_algorithm,
        dilations=list(kind.dilations),
        groups=kind.groups,
        data_format="NCHW",
        use_mkldnn=kind.quick_gradient or not backwards,
        is_test=False,  # otherwise oneDNN keeps the first weights that it sees
    )
    append("fetch", {"X": output}, {"Out": "fetch"}, col=0)
    config = paddle.inference.Config()
    text: Any = description.serialize_to_string()
    config.set_model_buffer(text, len(text), "", 0)
    if hasattr(config, "enable_new_ir"):  # Paddle 3
        config.enable_new_ir(False)
    config.switch_ir_optim(False)
    return runner(config, list(inputs.values()), kind.threads)
