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


# They are applied in this order.
TRANSFORMS: list[Any] = [
    lambda images, random, priors: random_shift(images, priors.shift, random),
    lambda images, random, priors: random_view(images, priors.rotation, tuple(priors.zoom), random),
]
