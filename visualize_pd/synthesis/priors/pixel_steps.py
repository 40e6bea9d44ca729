"""Pixel steps: changes of the pixels themselves after each step of the ascent."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import paddle
from paddle.nn import functional

from .settings import Priors


def gaussian_blur(images: paddle.Tensor, sigma: float) -> paddle.Tensor:
    """Blur images by a Gaussian with σ in pixels. At the edges the images are mirrored."""
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
    """Set the pixels with the smallest `size` to 0, the mean colour (Yosinski et al. 2015).

    `share`: the share of each image's pixels that become 0. `size`, `[N, 1, H, W]`: the norm of a
    pixel, or its contribution to the score.
    """
    if share == 0:
        return images
    limit = paddle.quantile(size.flatten(1), share, axis=1).reshape([-1, 1, 1, 1])
    return images * (size >= limit.astype(size.dtype)).astype(images.dtype)


def clamp(images: paddle.Tensor, mean: Sequence[float], std: Sequence[float]) -> paddle.Tensor:
    """Limit normalised pixels to the colours of a screen, which are [0, 1] if not normalised."""
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


# The keys are the fields of `Priors` that switch a step on. They are applied in this order.
PIXEL_STEPS: dict[str, Callable[..., paddle.Tensor]] = {
    "blur": _blur,
    "small_norm": _small_norm,
    "small_contribution": _small_contribution,
    "clamp": _clamp,
}
