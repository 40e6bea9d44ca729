"""What keeps a synthetic image natural: penalties on it, and transforms before the network."""

from __future__ import annotations

import numpy as np
import paddle


def l2(images: paddle.Tensor) -> paddle.Tensor:
    """‖I‖²₂, summed over the batch (Simonyan et al. 2013, equation 1)."""
    return (images * images).sum()


def total_variation(images: paddle.Tensor) -> paddle.Tensor:
    """Σ |I(y+1, x) − I(y, x)| + |I(y, x+1) − I(y, x)|, over the batch (Rudin et al. 1992)."""
    return sum(_differences(images, axis).abs().sum() for axis in (2, 3))


def _differences(images: paddle.Tensor, axis: int) -> paddle.Tensor:
    """I(next) − I along an axis, 0 at its end; rolled, as slices have a slow backward pass."""
    size = images.shape[axis]
    has_next = (paddle.arange(size) < size - 1).astype(images.dtype)
    has_next = has_next.reshape([-1, 1] if axis == 2 else [1, -1])
    return (paddle.roll(images, -1, axis) - images) * has_next


def random_shift(images: paddle.Tensor, limit: int, random: np.random.Generator) -> paddle.Tensor:
    """Roll by up to `limit` pixels each way; what leaves at one edge enters at the other."""
    if limit == 0:
        return images
    down, right = random.integers(-limit, limit + 1, size=2)
    return paddle.roll(images, shifts=[int(down), int(right)], axis=[2, 3])
