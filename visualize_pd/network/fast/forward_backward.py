"""A function with its own backward pass, and the conditions under which a layer may use one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import paddle
from paddle.autograd import PyLayer


def can_be_fast(x: paddle.Tensor, *parameters: paddle.Tensor) -> bool:
    """Whether a layer runs on a CPU, in single precision, with frozen parameters."""
    return (
        paddle.in_dynamic_mode()
        and x.place.is_cpu_place()
        and all(tensor.dtype == paddle.float32 for tensor in (x, *parameters))
        and all(parameter.stop_gradient for parameter in parameters)
    )


def needs_gradient(x: paddle.Tensor) -> bool:
    """Whether a gradient with respect to `x` may be computed later."""
    return paddle.is_grad_enabled() and not x.stop_gradient


class ForwardBackward(PyLayer):
    """A function `forwards(x)` with its own backward pass.

    `backwards(x, gradient of the output)` returns the gradient of `x`.
    """

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
