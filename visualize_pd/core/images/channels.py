"""Pictures of any number of channels, for networks that take neither colours nor grey."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Union

import numpy as np
from PIL import Image

from ..errors import ImageError
from ..files import expand_home
from ..fingerprint import file_digest
from .reading import MAX_PIXELS, check_size, load_with_digest, opened, reading_errors, upright

# A picture: a Pillow image, or an array `[H, W, C]` of float32. In an array 1.0 is white.
Photograph = Union[Image.Image, np.ndarray]
DARKEST, BRIGHTEST = 2, 98  # the percentiles that become black and white
OWN_CHANNELS = ("L", "LA", "RGB", "RGBA", "CMYK")  # modes of Pillow that are read as they are


def load_photograph(path: str | Path, channels: int = 3) -> tuple[Photograph, str]:
    """Open a picture for a network of `channels` channels, and make a digest of its file.

    For 1 or 3 channels this is what `load_image` returns. For another number it is an array
    `[H, W, channels]` of float32 with the channels of the file: those of a picture such as an RGBA
    PNG, or the bands of a TIFF. A `.npy` file, `[H, W, C]` or `[H, W]`, is an array for any number.
    Whole numbers of 8 or 16 bits are scaled to [0, 1]; floats stay as they are.

    Raises `ImageError` as `load_image` does, and for a file with another number of channels.
    """
    path = Path(expand_home(path))
    suffix = path.suffix.lower()
    if suffix == ".npy":
        return _from_numpy(path, channels)
    if channels in (1, 3):
        return load_with_digest(path)
    if suffix in (".tif", ".tiff"):
        return _from_tiff(path, channels)
    with opened(path) as (image, file):
        image.load()
        if "transparency" in image.info or image.mode in ("PA", "RGBa"):
            image = image.convert("RGBA")
        elif image.mode not in OWN_CHANNELS:
            image = image.convert("RGB")
        _check_channels(path, len(image.getbands()), channels)
        file.seek(0)
        return _unit_values(np.asarray(upright(image)), path), file_digest(file)


def as_rgb(picture: Photograph) -> Image.Image:
    """A picture as 8-bit RGB, to be shown: as `shown_channels` shows an array."""
    if isinstance(picture, Image.Image):
        return picture.convert("RGB")
    return Image.fromarray(shown_channels(picture))


def shown_channels(values: np.ndarray) -> np.ndarray:
    """Values `[…, H, W, C]` as colours `[…, H, W, 3]` uint8, where 1.0 is white.

    Of more than three channels the first three are shown, of two the first one. Their values
    between the 2nd and the 98th percentile of each picture fill the range from black to white.
    """
    channels = values.shape[-1]
    if channels not in (1, 3):
        values = values[..., : 3 if channels > 3 else 1]
        places = (-3, -2, -1)
        low, high = np.percentile(values, (DARKEST, BRIGHTEST), axis=places, keepdims=True)
        values = (values - low) / np.where(high > low, high - low, 1)
    pixels = np.clip(np.round(values * 255), 0, 255).astype("uint8")
    return np.repeat(pixels, 3, axis=-1) if pixels.shape[-1] == 1 else pixels


def size_of(picture: Photograph) -> tuple[int, int]:
    """The width and height of a picture."""
    if isinstance(picture, Image.Image):
        return picture.size
    return picture.shape[1], picture.shape[0]


def _from_numpy(path: Path, channels: int) -> tuple[np.ndarray, str]:
    with reading_errors(path):
        with open(path, "rb") as file:
            digest = file_digest(file)
        found: Any = np.load(path, mmap_mode="r", allow_pickle=False)
        if not isinstance(found, np.ndarray):
            raise ImageError(f"{path} is not a single array; save it with numpy.save")
        shape = found.shape if found.ndim != 2 else (*found.shape, 1)
        _check_shape(path, shape, channels)
        return _unit_values(found.reshape(shape), path), digest


def _from_tiff(path: Path, channels: int) -> tuple[np.ndarray, str]:
    with reading_errors(path):
        try:
            import tifffile
        except ModuleNotFoundError:
            raise ImageError(
                f'{path}: a TIFF with {channels} channels needs tifffile: pip install -e ".[tif]", '
                "or save it as .npy"
            ) from None
        logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # what is wrong is said below
        with open(path, "rb") as file:
            digest = file_digest(file)
            with tifffile.TiffFile(file) as found:
                series = found.series[0]
                axes = [series.axes.find(letter) for letter in "YX"]
                axes += [n for n in range(len(series.shape)) if n not in axes]
                shape = [series.shape[n] for n in axes if n >= 0]
                _check_shape(path, [*shape, 1] if len(shape) == 2 else shape, channels)
                values = series.asarray().transpose(axes)
    return _unit_values(values.reshape([*values.shape[:2], channels]), path), digest


def _check_shape(path: Path, shape: Any, channels: int) -> None:
    if len(shape) != 3:
        raise ImageError(f"{path} must hold one picture [H, W, C], not {list(shape)}")
    height, width, count = shape
    check_size((width, height), path)
    _check_channels(path, count, channels)
    if height * width * count > 3 * MAX_PIXELS:
        raise ImageError(f"{path} holds over {3 * MAX_PIXELS:,} numbers; make it smaller")


def _check_channels(path: Path, count: int, channels: int) -> None:
    if count != channels:
        raise ImageError(
            f"{path} has {count} channels, but the network takes {channels}, as many as model.mean "
            "has numbers"
        )


def _unit_values(values: np.ndarray, path: Path) -> np.ndarray:
    """Values as float32. 8-bit and 16-bit numbers are scaled to [0, 1]."""
    if values.dtype.kind not in "fu" or (values.dtype.kind == "u" and values.dtype.itemsize > 2):
        raise ImageError(
            f"{path} holds values of type {values.dtype}; save them as float32, uint8 or uint16"
        )
    full = 1 if values.dtype.kind == "f" else np.iinfo(values.dtype).max
    with np.errstate(over="ignore"):
        scaled = np.asarray(values, dtype="float32") / np.float32(full)
    if not np.isfinite(scaled).all():
        raise ImageError(f"{path} holds values that are not finite numbers")
    return scaled
