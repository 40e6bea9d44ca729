"""Layers of frozen networks on a CPU: the numbers of Paddle's own, sooner."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import paddle
from paddle.nn import functional
from paddle.nn.functional import conv

from .convolution import BothWays, convolution, eligible, wants_gradient

_LINEAR = functional.linear
_MAX_POOL = functional.max_pool2d


@contextmanager
def quick_layers() -> Iterator[None]:
    """Within the block layers of `paddle.nn` are the quick ones, where they are frozen.

    Convolutions are by oneDNN. No gradient of a gradient can be taken.
    """
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
    """The gradient is W · ∂ᵀ, turned: MKL is quicker at it than at ∂ · Wᵀ."""
    parameters = [weight] if bias is None else [weight, bias]
    if not (x.ndim == 2 and wants_gradient(x) and eligible(x, *parameters)):
        return _LINEAR(x, weight, bias, **others)
    return BothWays.apply(
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
    """With the places of the maxima known, the way back need not look for them again."""
    sides = [padding] if isinstance(padding, int) else padding
    if (
        (return_mask, ceil_mode, data_format) == (False, False, "NCHW")
        and len(sides) <= 2
        and all(isinstance(side, int) for side in sides)
        and wants_gradient(x)
        and eligible(x)
    ):
        return _MAX_POOL(x, kernel_size, stride, padding, return_mask=True)[0]
    options = (kernel_size, stride, padding, return_mask, ceil_mode, data_format)
    return _MAX_POOL(x, *options, **others)
