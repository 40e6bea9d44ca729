"""Open picture files as 8-bit RGB, and masks as grey values."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps

from ..errors import ImageError
from ..files import expand_home, is_pipe_or_device
from ..fingerprint import file_digest

MIN_SIDE = 8
MAX_PIXELS = 89_000_000


def load_image(path: str | Path, within: tuple[int, int] | None = None) -> Image.Image:
    """Open a picture of any mode as 8-bit RGB.

    The picture is turned upright, as its EXIF data says. Transparent parts become white. `within`
    is a size `(width, height)` to which the picture will be reduced later. A JPEG is then read at
    a reduced size that is still larger than `within`, which is faster.

    Raises `ImageError` for a file that is missing or damaged, is not a picture, has a side of less
    than 8 pixels, or has more than 89 million pixels.
    """
    with opened(path) as (image, _):
        if within:
            image.draft(None, within)
        image.load()
        return _rgb(upright(image), image.format)


def load_with_digest(path: str | Path) -> tuple[Image.Image, str]:
    """As `load_image`, together with a digest of the bytes of the file, which is opened once."""
    with opened(path) as (image, file):
        image.load()
        file.seek(0)
        return _rgb(upright(image), image.format), file_digest(file)


def load_mask(path: str | Path, size: tuple[int, int]) -> Image.Image:
    """Open a mask as 8-bit grey values: its alpha channel if it has one, else its grey values.

    `size` is the `(width, height)` of the picture that the mask belongs to. Raises `ImageError` for
    a file that is missing or damaged, is not a picture, or has another size.
    """
    with opened(path) as (image, _):
        transparent = {"A", "a"} & {*image.getbands()} or "transparency" in image.info
        if transparent:
            mask = image.convert("RGBA").getchannel("A")
        else:
            mask = _rgb(image, image.format).convert("L")
    if mask.size != tuple(size):
        raise ImageError(
            f"the mask {path} has the size {mask.size}, but its picture has {tuple(size)}"
        )
    return mask


@contextmanager
def opened(path: str | Path) -> Iterator[tuple[Image.Image, BinaryIO]]:
    """Open a picture and its file. Its pixels are not read yet.

    Any error in the block is an `ImageError`.
    """
    path = Path(expand_home(path))
    with reading_errors(path), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the size is checked below
        with open(path, "rb") as file, Image.open(file) as image:
            if image.format == "EPS":
                raise ImageError(
                    f"{path} is an EPS file, which is a program and is not run; save it as .png"
                )
            check_size(image.size, path)
            yield image, file


@contextmanager
def reading_errors(path: Path) -> Iterator[None]:
    """Turn any error of a block that reads the file `path` into an `ImageError`."""
    try:
        if is_pipe_or_device(path):
            raise ImageError(f"{path} is a pipe or a device, not a picture")
        yield
    except ImageError:
        raise
    except FileNotFoundError:
        raise ImageError(f"no such image: {path}") from None
    except Image.DecompressionBombError:
        raise ImageError(f"{path} has over {MAX_PIXELS:,} pixels; make it smaller") from None
    except Image.UnidentifiedImageError:
        raise ImageError(f"{path} is not a picture that Pillow can read") from None
    except Exception as error:  # for a damaged file a decoder can raise almost any error
        raise ImageError(f"cannot read {path}: {_sentence(error)}") from error


def check_size(size: tuple[int, int], path: Path) -> None:
    """Raise `ImageError` for a size `(width, height)` that is too small or too large."""
    width, height = size
    if min(width, height) < MIN_SIDE:
        raise ImageError(f"{path} is {width}×{height}; at least {MIN_SIDE}×{MIN_SIDE} is needed")
    if width * height > MAX_PIXELS:
        raise ImageError(f"{path} has over {MAX_PIXELS:,} pixels; make it smaller")


def upright(image: Image.Image) -> Image.Image:
    """The picture, turned as its EXIF data says."""
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # the EXIF data is damaged, but the picture can still be used
        return image


def _rgb(image: Image.Image, file_format: str | None) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image, dtype="float64")
        # Old versions of Pillow open a 16-bit PNG in mode I.
        sixteen = image.mode.startswith("I;16") or file_format == "PNG"
        full = 65535 if sixteen else None
        return Image.fromarray(_eight_bit(values, full)).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")


def _eight_bit(values: np.ndarray, full: float | None = None) -> np.ndarray:
    """Scale grey values to 0 … 255.

    `full` is the value that becomes 255. By default it is the smallest of 1, 255 and 65535 that no
    value exceeds. If values exceed all three, it is the largest value.
    """
    values = np.nan_to_num(values, nan=0, posinf=0, neginf=0)
    peak = values.max()
    full = full or next((top for top in (1, 255, 65535) if peak <= top), peak)
    return np.clip(values * (255 / full), 0, 255).round().astype("uint8")


def _sentence(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
