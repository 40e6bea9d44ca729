"""Transforms: random changes of the image before the network sees it, new ones in each step."""

from __future__ import annotations

from collections.abc import Sequence

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
    size: int = 0,
    wander: float = 0.0,
) -> paddle.Tensor:
    """Rotate by up to ± `rotation` degrees and enlarge by a factor in `zoom`, around the centre.

    All images of the batch are changed in the same way. Beyond the edges the image is mirrored.
    `size` is the shorter side of the result, 0 for that of the images. With `wander` an enlarged
    view leaves the centre: by a normal share, with this σ, of the way to the edge.
    """
    if rotation == 0 and tuple(zoom) == (1, 1) and not size:
        return images
    angle, factor = np.radians(random.uniform(-rotation, rotation)), random.uniform(*zoom)
    count, _, height, width = images.shape
    reduced = (size or min(height, width)) / min(height, width)
    down, right = (_places(side, round(side * reduced)) / factor for side in (height, width))
    down, right = down[:, None], right[None]
    cos, sin = np.cos(angle), np.sin(angle)
    x, y = cos * right - sin * down, sin * right + cos * down
    places = np.stack([x * 2 / width, y * 2 / height], axis=-1)
    if wander:
        places += np.clip(random.normal(0, wander, 2), -1, 1) * max(0.0, 1 - 1 / factor)
    places = places.astype("float32")
    grid = paddle.to_tensor(np.tile(places, (count, 1, 1, 1)), dtype=images.dtype)
    return functional.grid_sample(images, grid, padding_mode="reflection", align_corners=False)


def _places(side: int, count: int) -> np.ndarray:
    """The centres of `count` pixels on a side, from its middle."""
    return (np.arange(count) - (count - 1) / 2) * (side / count)


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


def resized(images: paddle.Tensor, size: Sequence[int]) -> paddle.Tensor:
    """Images with this height and width, by bicubic interpolation."""
    if list(images.shape[2:]) == list(size):
        return images
    return functional.interpolate(images, size=list(size), mode="bicubic")
