"""Square parts of images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple, Union

import numpy as np
import paddle
from paddle.nn import functional

from ...core.checks import check_count
from ...core.errors import ConfigError, ImageError
from ...network.scores import check_images

SMALLEST_CROP, STEP = 4, 0.5  # pixels; the step from one crop to the next, as a share of its side
Images = Union[paddle.Tensor, Sequence[paddle.Tensor]]


class Crop(NamedTuple):
    """A square part of an image, in its pixels. `image` is the number of the image."""

    image: int
    top: int
    left: int
    side: int


class Singles:
    """Single images by their numbers, `[1, C, H, W]`, and parts of them at the network's size.

    The last image is kept, because crops of one image follow each other.
    """

    def __init__(self, images: Images, size: int | Sequence[int] | None):
        self.images, self.last = images, (-1, paddle.zeros([0]))
        if isinstance(images, paddle.Tensor):
            check_images(images)
        elif not len(images):
            raise ImageError("no images given; concepts need at least one image of the class")
        sides = self[0].shape[2:] if size is None else [size] * 2 if isinstance(size, int) else size
        if len(sides) != 2:
            raise ConfigError(f"size must be a side or (height, width), not {size!r}")
        for side in sides:
            check_count("size", side)
        self.size = list(sides)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, number: int) -> paddle.Tensor:
        if self.last[0] != number:
            one = self.images[number]
            one = one.unsqueeze(0) if isinstance(self.images, paddle.Tensor) else one
            check_images(one)
            if len(one) != 1:
                raise ImageError(f"image {number} must be [1, C, H, W], not {one.shape}")
            self.last = number, one.detach()
        return self.last[1]

    def whole(self, number: int) -> paddle.Tensor:
        """A whole image at the network's size."""
        return _resized(self[number], self.size)

    def part(self, crop: Crop) -> paddle.Tensor:
        """A crop at the network's size."""
        rows, columns = (slice(start, start + crop.side) for start in (crop.top, crop.left))
        return _resized(self[crop.image][:, :, rows, columns], self.size)


def _resized(images: paddle.Tensor, size: Sequence[int]) -> paddle.Tensor:
    """Images at another size: the mean of the pixels of an area if smaller, bilinear if larger."""
    height, width = images.shape[2:]
    if [height, width] == list(size):
        return images
    if height >= size[0] and width >= size[1]:
        return functional.adaptive_avg_pool2d(images, list(size))
    return functional.interpolate(images, size=list(size), mode="bilinear")


def crops_of(singles: Singles, share: float, most: int, seed: int) -> list[Crop]:
    """Crops of all images. If they are too many, the same number of each image, drawn at random."""
    random = np.random.default_rng([seed, len(singles)])
    numbers = np.arange(len(singles))
    if len(numbers) > most:
        numbers = np.sort(random.choice(numbers, most, replace=False))
    each, found = most // len(numbers), []
    for number in numbers.tolist():
        height, width = singles[number].shape[2:]
        side = round(share * min(height, width))
        if side < SMALLEST_CROP:
            raise ImageError(
                f"image {number} is {width} × {height} pixels, so its crops would be {side} wide; "
                "leave it out, or take a larger crop"
            )
        tops, lefts = (_starts(length, side) for length in (height, width))
        crops = [Crop(number, top, left, side) for top in tops for left in lefts]
        if len(crops) > each:
            kept = np.sort(random.choice(len(crops), each, replace=False))
            crops = [crops[one] for one in kept]
        found += crops
    return found


def _starts(length: int, side: int) -> list[int]:
    """Where crops begin: evenly from one end to the other, about half a side apart."""
    count = 1 + math.ceil((length - side) / (STEP * side))
    return [round(start) for start in np.linspace(0, length - side, count).tolist()]


def overlap(one: Crop, other: Crop) -> float:
    """The part of a crop that another crop covers."""
    if one.image != other.image:
        return 0.0
    sides = [
        max(0, min(a, b) + one.side - max(a, b))
        for a, b in ((one.top, other.top), (one.left, other.left))
    ]
    return sides[0] * sides[1] / one.side**2
