"""Faster layers for frozen networks on a CPU. They give the same numbers as Paddle's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import paddle
from paddle.nn import functional
from paddle.nn.functional import conv

from .convolution import convolution
from .forward_backward import ForwardBackward, can_be_fast, needs_gradient
from .switch import is_fast

_LINEAR = functional.linear
_MAX_POOL = functional.max_pool2d


@contextmanager
def fast_layers() -> Iterator[None]:
    """Inside the block, convolutions, linear layers and max pooling of `paddle.nn` are faster.

    This holds only for layers whose parameters are frozen. Gradients of gradients cannot be taken.
    """
    if not is_fast():
        yield
        return
    replaced: dict[tuple[Any, str], Any] = {
        (conv, "_conv_nd"): convolution,
        (functional, "linear"): _linear,
        (functional, "max_pool2d"): _max_pool,
    }
    before = {where: getattr(*where) for where in replaced}
    try:
        for where, function in replaced.items():
            setattr(*where, function)
        yield
    finally:
        for where, function in before.items():
            setattr(*where, function)


def _linear(
    x: paddle.Tensor, weight: paddle.Tensor, bias: paddle.Tensor | None = None, **others: Any
) -> paddle.Tensor:
    """The gradient of the input is computed as (W · ∂ᵀ)ᵀ, not as ∂ · Wᵀ. MKL does this faster."""
    parameters = [weight] if bias is None else [weight, bias]
    if not (x.ndim == 2 and needs_gradient(x) and can_be_fast(x, *parameters)):
        return _LINEAR(x, weight, bias, **others)
    return ForwardBackward.apply(
        x,
        lambda x: _LINEAR(x, weight, bias),
        lambda x, slope: paddle.matmul(weight, slope, transpose_y=True).t(),
    )


def _max_pool(
    x: paddle.Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    return_mask: bool = False,
    ceil_mode: bool = False,
    data_format: Any = "NCHW",
    **others: Any,
) -> Any:
    """Keep the places of the maxima, so that the backward pass does not have to find them again."""
    sides = [padding] if isinstance(padding, int) else padding
    if (
        (return_mask, ceil_mode, data_format) == (False, False, "NCHW")
        and len(sides) <= 2
        and all(isinstance(side, int) for side in sides)
        and needs_gradient(x)
        and can_be_fast(x)
    ):
        return _MAX_POOL(x, kernel_size, stride, padding, return_mask=True)[0]
    options = (kernel_size, stride, padding, return_mask, ceil_mode, data_format)
    return _MAX_POOL(x, *options, **others)
