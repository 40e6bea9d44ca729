"""Transforms: random changes of the image before the network sees it, new ones in each step."""

from __future__ import annotations

from typing import Any

import numpy as np
import paddle
from paddle.nn import functional


def random_shift(images: paddle.Tensor, limit: int, random: np.random.Generator) -> paddle.Tensor:
    """Roll images by up to `limit` pixels in each direction.

    Pixels that leave at one edge enter at the opposite edge.
    """
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
    """Rotate by up to ± `rotation` degrees and enlarge by a factor in `zoom`, around the centre.

    All images of the batch are changed in the same way. Beyond the edges the image is mirrored.
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


def colour_jitter(
    images: paddle.Tensor, limit: float, random: np.random.Generator
) -> paddle.Tensor:
    """Change each colour to factor · colour + offset (Ghiasi et al. 2022, Plug-In Inversion).

    The logarithm of the factor, and the offset, are up to ± `limit`.
    """
    if limit == 0:
        return images
    factor, offset = random.uniform(-limit, limit, (2, 1, images.shape[1], 1, 1))
    factor, offset = np.exp(factor).astype("float32"), offset.astype("float32")
    return images * paddle.to_tensor(factor) + paddle.to_tensor(offset)


def add_noise(images: paddle.Tensor, std: float, random: np.random.Generator) -> paddle.Tensor:
    """Add Gaussian noise. It is the same for all images of the batch."""
    if std == 0:
        return images
    values = random.normal(0, std, (1, *images.shape[1:])).astype("float32")
    return images + paddle.to_tensor(values)


def _zoom_at(priors: Any, done: float) -> tuple[float, float]:
    """The factors of the zoom when the share `done` of the steps is done."""
    first, last = priors.zoom, priors.last_zoom or priors.zoom
    low, high = (a + (b - a) * done for a, b in zip(first, last))
    return low, high


# They are applied in this order. `done` is the share of the steps that are done.
TRANSFORMS: list[Any] = [
    lambda images, random, priors, done: random_shift(images, priors.shift, random),
    lambda images, random, priors, done: random_view(
        images, priors.rotation, _zoom_at(priors, done), random
    ),
    lambda images, random, priors, done: colour_jitter(
        images, priors.colour_jitter * (1 - done), random
    ),
    lambda images, random, priors, done: add_noise(images, priors.noise * (1 - done), random),
]
