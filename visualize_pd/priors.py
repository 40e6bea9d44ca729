"""What keeps a synthetic image natural: penalties on it, and transforms before the network."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import paddle
from paddle.nn import functional


def l2(images: paddle.Tensor) -> paddle.Tensor:
    """‖I‖²₂, summed over the batch (Simonyan et al. 2013, equation 1)."""
    return (images * images).sum()


def alpha_norm(images: paddle.Tensor, alpha: float = 6) -> paddle.Tensor:
    """‖I‖_α^α, over the batch: far from the mean colour costs most (Mahendran & Vedaldi 2014)."""
    return (images.abs() ** alpha).sum()


def total_variation(images: paddle.Tensor, beta: float = 1) -> paddle.Tensor:
    """Σ |I(y+1, x) − I(y, x)|^β + |I(y, x+1) − I(y, x)|^β, over the batch.

    β = 1: Rudin et al. 1992; β = 2: Mahendran & Vedaldi 2014, equation 4.
    """
    changes = (change.abs() for change in _changes(images))
    down, right = ((change if beta == 1 else change**beta).sum() for change in changes)
    return down + right


def _changes(images: paddle.Tensor) -> Iterator[paddle.Tensor]:
    """I(next) − I, down and to the right; convolved, as slices have a slow backward pass."""
    count, channels, height, width = images.shape
    planes = images.reshape([count * channels, 1, height, width])
    step = paddle.to_tensor([-1.0, 1.0], dtype=images.dtype)
    for shape in ([1, 1, 2, 1], [1, 1, 1, 2]):
        yield functional.conv2d(planes, step.reshape(shape))


def random_shift(images: paddle.Tensor, limit: int, random: np.random.Generator) -> paddle.Tensor:
    """Roll by up to `limit` pixels each way; what leaves at one edge enters at the other."""
    if limit == 0:
        return images
    down, right = random.integers(-limit, limit + 1, size=2)
    return paddle.roll(images, shifts=[int(down), int(right)], axis=[2, 3])


def random_view(
    images: paddle.Tensor,
    rotation: float,
    zoom: tuple[float, float],
    random: np.random.Generator,
) -> paddle.Tensor:
    """Turn by up to `rotation` degrees each way, enlarge by a factor in `zoom`, about the centre.

    The whole batch alike; what comes in over an edge is the image mirrored there.
    """
    if rotation == 0 and tuple(zoom) == (1, 1):
        return images
    angle, factor = np.radians(random.uniform(-rotation, rotation)), random.uniform(*zoom)
    count, _, height, width = images.shape
    down, right = (np.arange(size) - (size - 1) / 2 for size in (height, width))
    down, right = down[:, None] / factor, right[None] / factor
    cos, sin = np.cos(angle), np.sin(angle)
    x, y = cos * right - sin * down, sin * right + cos * down
    places = np.stack([x * 2 / width, y * 2 / height], axis=-1).astype("float32")
    grid = paddle.to_tensor(np.tile(places, (count, 1, 1, 1)), dtype=images.dtype)
    return functional.grid_sample(images, grid, padding_mode="reflection", align_corners=False)


def blur(images: paddle.Tensor, sigma: float) -> paddle.Tensor:
    """Gaussian blur, σ in pixels, mirrored at the edges."""
    if sigma == 0:
        return images
    count, channels, height, width = images.shape
    reach = min(int(np.ceil(3 * sigma)), height - 1, width - 1)
    bell = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * sigma**2))
    kernel = paddle.to_tensor(bell / bell.sum(), dtype=images.dtype)
    planes = functional.pad(images, [reach] * 4, mode="reflect")
    planes = planes.reshape([count * channels, 1, height + 2 * reach, width + 2 * reach])
    planes = functional.conv2d(planes, kernel.reshape([1, 1, -1, 1]))
    planes = functional.conv2d(planes, kernel.reshape([1, 1, 1, -1]))
    return planes.reshape(images.shape)


def without_small(images: paddle.Tensor, size: paddle.Tensor, share: float) -> paddle.Tensor:
    """Set the `share` of each image's pixels whose `size`, `[N, 1, H, W]`, is least to 0.

    The mean colour, that is. `size`: the pixel's norm or its contribution (Yosinski et al. 2015).
    """
    if share == 0:
        return images
    limit = paddle.quantile(size.flatten(1), share, axis=1).reshape([-1, 1, 1, 1])
    return images * (size >= limit.astype(size.dtype)).astype(images.dtype)
