"""Arrays as tensors: a constant, or the variable that the optimiser changes."""

from __future__ import annotations

import numpy as np
import paddle


def constant(values: np.ndarray) -> paddle.Tensor:
    """A tensor without a gradient."""
    return paddle.to_tensor(np.ascontiguousarray(values, dtype="float32"))


def variable(start: np.ndarray) -> paddle.Tensor:
    """A parameter with this first value."""
    values = np.ascontiguousarray(start, dtype="float32")
    return paddle.create_parameter(
        list(values.shape), "float32", default_initializer=paddle.nn.initializer.Assign(values)
    )
