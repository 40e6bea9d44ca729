"""Convolutions by oneDNN on a CPU.

They are several times faster than Paddle's own, most of all in the backward pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial
from typing import Any, NamedTuple

import numpy as np
import paddle
from paddle.nn.functional import conv

from .forward_backward import ForwardBackward, can_be_fast, needs_gradient
from .onednn import Run, as_tensor, threads
from .probe import Way, is_faster
from .program import Convolution, convolution_program

_OWN = conv._conv_nd

FEW_CHANNELS = 16  # fewer are as in pictures
SMALL_KERNEL = 3 * 3


class Kind(NamedTuple):
    """A kind of convolution: whether oneDNN is usually faster, and an example to measure it by."""

    usual: bool
    channels: int
    kernel: int
    side: int
    operation: str = "conv2d"


GRADIENTS = "gradients of pictures"
KINDS = {
    "1×1": Kind(False, 64, 1, 28),
    "small kernels on pictures": Kind(False, 3, 3, 56),
    "large kernels on pictures": Kind(True, 3, 7, 40),
    GRADIENTS: Kind(False, 3, 7, 40),
    "dense": Kind(True, 64, 3, 28),
    "depthwise": Kind(True, 64, 3, 56, "depthwise_conv2d"),
}
FILTERS = 64
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
        and _is_worth_it(x, weight, dilation, op_type)
    ):
        geometry = (tuple(stride), tuple(padding), padding_algorithm, tuple(dilation), groups)
        fast_gradient = x.shape[1] >= FEW_CHANNELS or _is_faster(GRADIENTS)
        programs = _programs(Convolution(op_type, *geometry, fast_gradient, threads()))
    if programs is None:
        options = (stride, padding, padding_algorithm, dilation, groups, data_format, channel_dim)
        return _OWN(x, weight, bias, *options, op_type, **others)
    forwards, backwards = programs

    def forward(x: paddle.Tensor) -> paddle.Tensor:
        (output,) = forwards(x, weight)
        if bias is not None:
            output += bias.numpy()[:, None, None]
        return as_tensor(output)

    def backward(x: paddle.Tensor, slope: paddle.Tensor) -> paddle.Tensor:
        return as_tensor(*backwards(x, weight, slope))

    return ForwardBackward.apply(x, forward, backward) if needs_gradient(x) else forward(x)


def _is_worth_it(
    x: paddle.Tensor, weight: paddle.Tensor, dilation: Sequence[int], operation: str
) -> bool:
    kernel = weight.shape[2:]
    if any(d * (k - 1) >= side for d, k, side in zip(dilation, kernel, x.shape[2:])):
        return False  # a kernel larger than the image: Paddle's own layer says what is wrong
    area = kernel[0] * kernel[1]
    if area == 1:
        return _is_faster("1×1")
    if x.shape[1] < FEW_CHANNELS:
        return _is_faster(f"{'large' if area > SMALL_KERNEL else 'small'} kernels on pictures")
    return _is_faster("depthwise" if operation == "depthwise_conv2d" else "dense")


def _is_faster(name: str) -> bool:
    return is_faster(name, KINDS[name].usual, partial(_ways, name))


def _ways(name: str) -> tuple[Way, Way]:
    """An example of a kind, forward and backward, by oneDNN and by Paddle."""
    _, channels, kernel, side, operation = KINDS[name]
    groups = channels if operation == "depthwise_conv2d" else 1
    x, weight, slope = _some(
        [1, channels, side, side],
        [FILTERS, channels // groups, kernel, kernel],
        [1, FILTERS, side, side],
    )
    geometry = (1, 1), (kernel // 2, kernel // 2), "EXPLICIT", (1, 1), groups
    own, fast = (Convolution(operation, *geometry, by, threads()) for by in (False, True))
    programs = _programs(own if channels < FEW_CHANNELS and name != GRADIENTS else fast)
    others = _programs(own) if name == GRADIENTS else programs
    if programs is None or others is None:  # every way is Paddle's own
        return (lambda: None), (lambda: None)
    if name == GRADIENTS:
        return partial(programs[1], x, weight, slope), partial(others[1], x, weight, slope)
    forwards, backwards = programs
    return (
        lambda: (forwards(x, weight), backwards(x, weight, slope)),
        lambda: _by_paddle(own, x, weight, slope),
    )


def _by_paddle(
    kind: Convolution, x: paddle.Tensor, weight: paddle.Tensor, slope: paddle.Tensor | None = None
) -> tuple[Any, Any, paddle.Tensor]:
    """The output of Paddle's own convolution, the gradient of its input, and that of its output."""
    x = x.detach()
    x.stop_gradient = False
    geometry = (kind.strides, kind.paddings, kind.padding_algorithm, kind.dilations)
    with paddle.enable_grad():
        output = _OWN(x, weight, None, *geometry, kind.groups, op_type=kind.operation)
    slope = _some(output.shape)[0] if slope is None else slope
    output.backward(slope)
    return output, x.grad, slope


def _some(*shapes: Sequence[int]) -> list[paddle.Tensor]:
    """Tensors of random numbers."""
    random = np.random.default_rng(0)
    numbers = (random.standard_normal(shape).astype("float32") for shape in shapes)
    return [paddle.to_tensor(each, place=paddle.CPUPlace()) for each in numbers]


@lru_cache(maxsize=256)
def _programs(kind: Convolution) -> tuple[Run, Run] | None:
    """The programs of the forward and the backward pass.

    Each kind is tested once, with random numbers. The result is None if the programs fail, or if
    their numbers differ from Paddle's own.
    """
    width = 1 if kind.operation == "depthwise_conv2d" else FEW_CHANNELS
    channels, size = kind.groups * width, 12 + 2 * max(kind.dilations)
    x, weight = _some([2, channels, size, size + 1], [channels, width, 3, 3])
    try:
        *expected, slope = _by_paddle(kind, x, weight)
        forwards = convolution_program(kind, ["Input", "Filter"], "Output")
        backwards = convolution_program(kind, ["Input", "Filter", "Output@GRAD"], "Input@GRAD")
        results = *forwards(x, weight), *backwards(x, weight, slope)
    except Exception:  # this Paddle has no oneDNN, or another engine
        return None
    alike = all(
        np.abs(one - other.numpy()).max() <= TOLERANCE * np.abs(other.numpy()).max()
        for one, other in zip(results, expected)
    )
    return (forwards, backwards) if alike else None
