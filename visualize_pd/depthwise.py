"""Depthwise convolutions, backwards as convolutions too: several times faster on a CPU.

Paddle's own gradient of a depthwise convolution is slow there, as is its padding by more than one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import paddle
from paddle.autograd import PyLayer
from paddle.nn import functional

_NAME = "depthwise_conv2d"
_OWN = getattr(paddle._C_ops, _NAME)


class _BothWays(PyLayer):
    """A linear operation and its transpose, each given as a function."""

    @staticmethod
    def forward(context: Any, x: paddle.Tensor, there: Callable, back: Callable) -> paddle.Tensor:
        context.back = back
        return there(x)

    @staticmethod
    def backward(context: Any, gradient: paddle.Tensor) -> paddle.Tensor:
        return context.back(gradient)


@contextmanager
def quick_depthwise() -> Iterator[None]:
    """Within the block frozen depthwise convolutions of stride 1 on a CPU are the quick ones.

    The gradient of a correlation with a kernel is one with the kernel turned by half a turn.
    """
    before = getattr(paddle._C_ops, _NAME)
    setattr(paddle._C_ops, _NAME, _depthwise)
    try:
        yield
    finally:
        setattr(paddle._C_ops, _NAME, before)


def _depthwise(
    x: paddle.Tensor,
    weight: paddle.Tensor,
    stride: list[int],
    padding: list[int],
    algorithm: str,
    groups: int,
    dilation: list[int],
    layout: str,
) -> paddle.Tensor:
    one, size = [1, 1], weight.shape[2:]
    quick = (
        paddle.in_dynamic_mode()
        and x.place.is_cpu_place()
        and weight.stop_gradient
        and weight.shape[:2] == [x.shape[1], 1]
        and (list(stride), list(dilation)) == (one, one)
        and (algorithm, layout, len(padding)) == ("EXPLICIT", "NCHW", 2)
        and all(pad < side for pad, side in zip(padding, size))
    )
    if not quick:
        return _OWN(x, weight, stride, padding, algorithm, groups, dilation, layout)
    rest = [side - 1 - pad for pad, side in zip(padding, size)]
    return _BothWays.apply(
        x,
        lambda images: _correlated(images, weight, padding),
        lambda slopes: _correlated(slopes, paddle.flip(weight, [2, 3]), rest),
    )


def _correlated(x: paddle.Tensor, weight: paddle.Tensor, padding: list[int]) -> paddle.Tensor:
    """A depthwise convolution of stride 1; padding of more than one is added beforehand."""
    if max(padding) > 1:
        height, width = padding
        x, padding = functional.pad(x, [width, width, height, height]), [0, 0]
    return _OWN(x, weight, [1, 1], padding, "EXPLICIT", x.shape[1], [1, 1], "NCHW")
