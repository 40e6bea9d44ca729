"""Pixel steps: what is done to the pixels themselves after each step."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import paddle
from paddle.nn import functional

from ..settings import Priors


def gaussian_blur(images: paddle.Tensor, sigma: float) -> paddle.Tensor:
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


def zero_smallest(images: paddle.Tensor, size: paddle.Tensor, share: float) -> paddle.Tensor:
    """Set the `share` of each image's pixels whose `size` is smallest to 0, the mean colour.

    `size`, `[N, 1, H, W]`: the pixel's norm, or its contribution to the score (Yosinski et al.
    2015).
    """
    if share == 0:
        return images
    limit = paddle.quantile(size.flatten(1), share, axis=1).reshape([-1, 1, 1, 1])
    return images * (size >= limit.astype(size.dtype)).astype(images.dtype)


def clamp(images: paddle.Tensor, mean: Sequence[float], std: Sequence[float]) -> paddle.Tensor:
    """Keep normalised pixels within [0, 1] of the colours of a screen."""
    low, high = (
        paddle.to_tensor([(end - m) / s for m, s in zip(mean, std)], dtype=images.dtype)
        for end in (0, 1)
    )
    low, high = (end.reshape([1, -1, 1, 1]) for end in (low, high))
    return paddle.minimum(paddle.maximum(images, low), high)


def _blur(
    images: paddle.Tensor, gradient: paddle.Tensor, iteration: int, *, priors: Priors, **_: object
) -> paddle.Tensor:
    return images if iteration % priors.blur_every else gaussian_blur(images, priors.blur)


def _small_norm(
    images: paddle.Tensor, gradient: paddle.Tensor, iteration: int, *, priors: Priors, **_: object
) -> paddle.Tensor:
    size = (images * images).sum(axis=1, keepdim=True)
    return zero_smallest(images, size, priors.small_norm)


def _small_contribution(
    images: paddle.Tensor, gradient: paddle.Tensor, iteration: int, *, priors: Priors, **_: object
) -> paddle.Tensor:
    size = (images * gradient).sum(axis=1, keepdim=True).abs()
    return zero_smallest(images, size, priors.small_contribution)


def _clamp(
    images: paddle.Tensor,
    gradient: paddle.Tensor,
    iteration: int,
    *,
    mean: Sequence[float],
    std: Sequence[float],
    **_: object,
) -> paddle.Tensor:
    return clamp(images, mean, std)


# The keys are those of `Priors` that switch them on, in the order in which they are applied.
PIXEL_STEPS: dict[str, Callable[..., paddle.Tensor]] = {
    "blur": _blur,
    "small_norm": _small_norm,
    "small_contribution": _small_contribution,
    "clamp": _clamp,
}
