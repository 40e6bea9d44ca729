"""A function with a gradient of its own, and when a layer may use one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import paddle
from paddle.autograd import PyLayer


def can_be_fast(x: paddle.Tensor, *parameters: paddle.Tensor) -> bool:
    """On a CPU, in single precision, and the parameters are frozen."""
    return (
        paddle.in_dynamic_mode()
        and x.place.is_cpu_place()
        and all(tensor.dtype == paddle.float32 for tensor in (x, *parameters))
        and all(parameter.stop_gradient for parameter in parameters)
    )


def needs_gradient(x: paddle.Tensor) -> bool:
    """Whether a gradient with respect to `x` will be asked for."""
    return paddle.is_grad_enabled() and not x.stop_gradient


class ForwardBackward(PyLayer):
    """Two functions: `forwards(x)`, and `backwards(x, gradient of the output) → gradient of x`."""

    @staticmethod
    def forward(
        context: Any, x: paddle.Tensor, forwards: Callable, backwards: Callable
    ) -> paddle.Tensor:
        context.save_for_backward(x)
        context.backwards = backwards
        return forwards(x)

    @staticmethod
    def backward(context: Any, slope: paddle.Tensor) -> paddle.Tensor:
        (x,) = context.saved_tensor()
        return context.backwards(x, slope)
