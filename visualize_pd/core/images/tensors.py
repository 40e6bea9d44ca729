"""Convert pictures to tensors and back.

`to_tensor` normalises with a mean and a std. `to_pixels` is its exact inverse.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import paddle
from PIL import Image

from ..errors import ImageError
from .channels import Photograph, shown_channels, size_of

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def resized(
    picture: Photograph,
    size: tuple[int, int],
    resample: str = "bicubic",
    box: tuple[float, float, float, float] | None = None,
) -> Photograph:
    """The part `box` of a picture, `(left, top, right, bottom)`, at another `(width, height)`.

    Without a box it is the whole picture.
    """
    kind = getattr(Image.Resampling, resample.upper())
    if isinstance(picture, Image.Image):
        return picture.resize(size, kind, box=box)
    planes = (Image.fromarray(np.ascontiguousarray(plane)) for plane in picture.transpose(2, 0, 1))
    return np.stack([np.asarray(plane.resize(size, kind, box=box)) for plane in planes], axis=2)


def centre_square(
    size: tuple[int, int], side: int, resize: int
) -> tuple[float, float, float, float]:
    """The part of a picture of `size` that `crop` cuts out: `(left, top, right, bottom)`."""
    width, height = size
    side_there = min(size) * side / resize
    left, top = (width - side_there) / 2, (height - side_there) / 2
    return (
        max(left, 0),
        max(top, 0),
        min(left + side_there, width),
        min(top + side_there, height),
    )


def crop(picture: Photograph, size: int, resize: int, resample: str = "bicubic") -> Photograph:
    """Resize the short side to `resize` and cut out the centre, `size` × `size`, in one step."""
    box = centre_square(size_of(picture), size, resize)
    return resized(picture, (size, size), resample, box)


def to_tensor(
    pictures: Sequence[Photograph],
    mean: Sequence[float] = IMAGENET_MEAN,
    std: Sequence[float] = IMAGENET_STD,
) -> paddle.Tensor:
    """Convert pictures of one size to a float32 tensor `[N, C, H, W]`: (pixel / 255 − mean) / std.

    `mean` has a number for each channel. If it has a single number, pictures become grey. A picture
    may also be an array `[H, W, C]` of float32, where 1.0 is white. Raises `ImageError` for a
    picture with another number of channels.
    """
    stack = np.stack([_unit_pixels(picture, len(mean)) for picture in pictures])
    normalised = (stack - np.asarray(mean, "float32")) / np.asarray(std, "float32")
    return paddle.to_tensor(np.ascontiguousarray(normalised.transpose(0, 3, 1, 2)))


def _unit_pixels(picture: Photograph, channels: int) -> np.ndarray:
    """The pixels of a picture, `[H, W, channels]`, where 1.0 is white."""
    if isinstance(picture, Image.Image):
        if channels in (1, 3):
            picture = picture.convert("L" if channels == 1 else "RGB")
        pixels = np.asarray(picture, dtype="float32") / 255
        picture = pixels if pixels.ndim == 3 else pixels[..., None]
    if picture.ndim != 3 or picture.shape[2] != channels:
        raise ImageError(
            f"a picture of {list(picture.shape)} does not fit a network of {channels} channels"
        )
    return picture.astype("float32", copy=False)


def to_pixels(
    images: paddle.Tensor,
    mean: Sequence[float] = IMAGENET_MEAN,
    std: Sequence[float] = IMAGENET_STD,
) -> np.ndarray:
    """The inverse of `to_tensor`: `[N, H, W, 3]` uint8. Values out of the range are clipped.

    Images that have neither 1 nor 3 channels are shown as `shown_channels` shows them.
    """
    scaled = images.numpy().transpose(0, 2, 3, 1) * np.asarray(std, "float32")
    return shown_channels(scaled + np.asarray(mean, "float32"))
