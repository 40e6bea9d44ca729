"""Cut images into segments: by scikit-image, by a grid, or as given."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import paddle

from ...core.checks import check_count, look_up
from ...core.errors import ConfigError, ImageError
from ...network.scores import check_images

USUAL = 50  # segments of an image
SIDE = 224  # of the images for which the values of Felzenszwalb's method below are meant
SCALES = (50, 100, 150, 250, 500, 1200)
GRIDS = (256, 128, 64, 32, 16)


def _slic(pixels: np.ndarray, count: int) -> np.ndarray:
    """SLIC (Achanta et al. 2012) of slightly blurred pixels, in Lab if there are three channels."""
    is_rgb = pixels.shape[2] == 3
    compactness = 20 if is_rgb else 0.2  # as a share of the range of the colours
    cut = _skimage("slic").slic
    options = {"sigma": 1, "start_label": 0, "channel_axis": -1}
    return cut(pixels, count, compactness, convert2lab=is_rgb, **options)


def _grid(pixels: np.ndarray, count: int) -> np.ndarray:
    height, width = pixels.shape[:2]
    rows = min(height, count, max(1, round((count * height / width) ** 0.5)))
    columns = min(width, max(1, round(count / rows)))
    down, across = np.arange(height) * rows // height, np.arange(width) * columns // width
    return down[:, None] * columns + across


def _felzenszwalb(pixels: np.ndarray) -> list[np.ndarray]:
    """Felzenszwalb & Huttenlocher 2004 at the scales of XRAI, as on an image of 224 × 224."""
    unit = sidelength(pixels.shape[:2])
    smallest = max(1, round(150 * unit**2))
    cut = _skimage("felzenszwalb").felzenszwalb
    with warnings.catch_warnings():  # of images that have not three channels
        warnings.simplefilter("ignore", RuntimeWarning)
        return [
            cut(2 * pixels - 1, scale * unit**2, 0.8 * unit, smallest, channel_axis=-1)
            for scale in SCALES
        ]


def _grids(pixels: np.ndarray) -> list[np.ndarray]:
    return [_grid(pixels, min(count, pixels[..., 0].size)) for count in GRIDS]


# Functions of the pixels [H, W, C] in [0, 1] and the number of segments. They return labels.
SEGMENTATIONS: dict[str, Callable[[np.ndarray, int], np.ndarray]] = {"slic": _slic, "grid": _grid}
# Functions of the pixels. They return several segmentations, from the finest to the coarsest.
SEVERAL_SCALES: dict[str, Callable[[np.ndarray], list[np.ndarray]]] = {
    "felzenszwalb": _felzenszwalb,
    "grid": _grids,
}


def sidelength(shape: tuple[int, ...]) -> float:
    """The side of a square of the same area, as a share of 224 pixels."""
    return (shape[0] * shape[1]) ** 0.5 / SIDE


def segment(
    images: paddle.Tensor, segments: str | paddle.Tensor, count: int | None = None
) -> np.ndarray:
    """The segment of each pixel, `[N, H, W]`: 0, 1, 2 … within each image.

    `segments`: slic, grid, or a tensor of whole numbers `[N, H, W]`, or `[1, H, W]` for all images.
    `count`: about how many segments slic and grid make, by default 50, or a quarter of the pixels.
    Raises `ConfigError` for more segments than pixels, and where scikit-image is missing.
    """
    check_images(images)
    if isinstance(segments, paddle.Tensor):
        return _given(images, segments)
    cut = look_up("segments", segments, SEGMENTATIONS)
    pixels = int(np.prod(images.shape[2:]))
    count = max(1, min(USUAL, pixels // 4)) if count is None else count
    check_count("segment_count", count)
    if count > pixels:
        raise ConfigError(
            f"{count:,} segments are more than the {pixels:,} pixels of an image; take a smaller "
            "segment_count"
        )
    return np.stack([_numbered(cut(each, count)) for each in _pixels(images)])


def segment_often(images: paddle.Tensor, segments: str | paddle.Tensor) -> np.ndarray:
    """Several segmentations of each image, `[N, segmentations, H, W]`, labelled as by `segment`.

    `segments`: felzenszwalb, grid, or a tensor as for `segment`, which is the only segmentation.
    """
    check_images(images)
    if isinstance(segments, paddle.Tensor):
        return _given(images, segments)[:, None]
    cut = look_up("segments", segments, SEVERAL_SCALES)
    return np.stack([[_numbered(labels) for labels in cut(each)] for each in _pixels(images)])


def _given(images: paddle.Tensor, segments: paddle.Tensor) -> np.ndarray:
    labels = segments.numpy()
    count, _, height, width = images.shape
    fits = labels.shape in ((count, height, width), (1, height, width))
    if not np.issubdtype(labels.dtype, np.integer) or not fits:
        raise ImageError(
            f"segments must be whole numbers {[count, height, width]}, one for each pixel, not "
            f"{labels.dtype} {list(labels.shape)}"
        )
    return np.stack([_numbered(labels[n % len(labels)]) for n in range(count)])


def _numbered(labels: np.ndarray) -> np.ndarray:
    """The same segments with the numbers 0, 1, 2 …"""
    return np.unique(labels, return_inverse=True)[1].reshape(labels.shape)


def _pixels(images: paddle.Tensor) -> np.ndarray:
    """The images `[N, H, W, C]`, from the lowest value, 0, to the highest one, 1, of each image."""
    pixels = images.numpy().transpose(0, 2, 3, 1).astype("float64")
    low, high = (f(pixels, axis=(1, 2, 3), keepdims=True) for f in (np.min, np.max))
    return (pixels - low) / np.where(high > low, high - low, 1)


def _skimage(name: str) -> Any:
    try:
        return importlib.import_module("skimage.segmentation")
    except ImportError:
        raise ConfigError(
            f'segments={name} needs scikit-image: pip install -e ".[segments]", or choose '
            "segments=grid"
        ) from None
