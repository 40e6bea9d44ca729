"""Convolutions by oneDNN on a CPU.

They are several times faster than Paddle's own, most of all in the backward pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import paddle
from paddle.nn.functional import conv

from .forward_backward import ForwardBackward, can_be_fast, needs_gradient
from .onednn import Run, as_tensor, threads
from .program import Convolution, convolution_program

_OWN = conv._conv_nd

# For 1×1 kernels oneDNN is slower than Paddle's matrix products. If there are few channels, as in
# pictures, it is also slower for small kernels and for gradients.
FEW_CHANNELS = 16
SMALL_KERNEL = 3 * 3
TOLERANCE = 1e-5  # share of the largest number


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
    """Paddle's `_conv_nd`, with the same arguments. It uses oneDNN if the parameters are frozen."""
    programs = None
    sides = (stride, padding, dilation)
    if (
        op_type in ("conv2d", "depthwise_conv2d")
        and data_format == "NCHW"
        and all(isinstance(side, (list, tuple)) for side in sides)
        and can_be_fast(x, *([weight] if bias is None else [weight, bias]))
        and _is_worth_it(x, weight, dilation)
    ):
        geometry = (tuple(stride), tuple(padding), padding_algorithm, tuple(dilation), groups)
        fast_gradient = x.shape[1] >= FEW_CHANNELS
        programs = _programs(Convolution(op_type, *geometry, fast_gradient, threads()))
    if programs is None:
        options = (stride, padding, padding_algorithm, dilation, groups, data_format, channel_dim)
        return _OWN(x, weight, bias, *options, op_type, **others)
    forwards, backwards = programs

    def forward(x: paddle.Tensor) -> paddle.Tensor:
        output = forwards(x, weight)
        if bias is not None:
            output += bias.numpy()[:, None, None]
        return as_tensor(output)

    def backward(x: paddle.Tensor, slope: paddle.Tensor) -> paddle.Tensor:
        return as_tensor(backwards(x, weight, slope))

    return ForwardBackward.apply(x, forward, backward) if needs_gradient(x) else forward(x)


def _is_worth_it(x: paddle.Tensor, weight: paddle.Tensor, dilation: Sequence[int]) -> bool:
    kernel = weight.shape[2:]
    if any(d * (k - 1) >= side for d, k, side in zip(dilation, kernel, x.shape[2:])):
        return False  # a kernel larger than the image: Paddle's own layer says what is wrong
    area = kernel[0] * kernel[1]
    return area > SMALL_KERNEL or (area > 1 and x.shape[1] >= FEW_CHANNELS)


@lru_cache(maxsize=256)
def _programs(kind: Convolution) -> tuple[Run, Run] | None:
    """The programs of the forward and the backward pass.

    Each kind is tested once, with random numbers. The result is None if the programs fail, or if
    their numbers differ from Paddle's own.
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
        forwards = convolution_program(kind, ["Input", "Filter"], "Output")
        backwards = convolution_program(kind, ["Input", "Filter", "Output@GRAD"], "Input@GRAD")
        results = forwards(x, weight), backwards(x, weight, slope)
    except Exception:  # this Paddle has no oneDNN, or another engine
        return None
    alike = all(
        np.abs(one - other.numpy()).max() <= TOLERANCE * np.abs(other.numpy()).max()
        for one, other in zip(results, expected)
    )
    return (forwards, backwards) if alike else None
