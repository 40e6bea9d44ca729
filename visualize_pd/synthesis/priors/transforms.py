"""Transforms: random changes of the image before the network sees it, new ones in each step."""

from __future__ import annotations

from typing import Any

import numpy as np
import paddle
from paddle.nn import functional

PART_WANDER = 0.5  # σ of the way of a part from the centre, as a share of the way to the edge


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


def _zoom_at(priors: Any, done: float) -> tuple[float, float]:
    """The factors of the zoom when the share `done` of the steps is done."""
    first, last = priors.zoom, priors.last_zoom or priors.zoom
    low, high = (a + (b - a) * done for a, b in zip(first, last))
    return low, high


def _colours(images: Any, random: Any, priors: Any, done: float) -> paddle.Tensor:
    images = colour_jitter(images, priors.colour_jitter * (1 - done), random)
    return add_noise(images, priors.noise * (1 - done), random)


def _whole(images: Any, random: Any, priors: Any, done: float) -> paddle.Tensor:
    """The whole image. If the network also sees a part of it, both have the same size."""
    size = priors.part_size if shows_part(images, priors, done) else 0
    images = random_shift(images, priors.shift, random)
    images = random_view(images, priors.rotation, _zoom_at(priors, done), random, size)
    return _colours(images, random, priors, done)


def _part(images: Any, random: Any, priors: Any, done: float) -> paddle.Tensor:
    """A part of the image, enlarged."""
    zoom, size = tuple(priors.part_zoom), priors.part_size
    images = random_view(images, priors.rotation, zoom, random, size, PART_WANDER)
    return _colours(images, random, priors, done)


def shows_part(images: paddle.Tensor, priors: Any, done: float) -> bool:
    """Whether the network sees a part besides the whole: the image must be larger than a part."""
    return 0 < priors.part_size < min(images.shape[2:]) and done < priors.part_until


def views(
    images: paddle.Tensor, random: np.random.Generator, priors: Any, done: float
) -> list[paddle.Tensor]:
    """What the network sees of images in a step. `done` is the share of the steps that are done."""
    changes = [_whole, _part] if shows_part(images, priors, done) else [_whole]
    return [change(images, random, priors, done) for change in changes]
