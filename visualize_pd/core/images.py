"""Convert image files to tensors and back.

`to_tensor` normalises with a mean and a std. `to_pixels` is its exact inverse.
"""

from __future__ import annotations

import glob
import os
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
import paddle
from PIL import Image, ImageOps

from .errors import ImageError
from .files import expand_home, is_pipe_or_device, shortened
from .fingerprint import file_digest

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
MIN_SIDE = 8
MAX_PIXELS = 89_000_000
ROOM = 80  # bytes for what follows the name of a picture in the name of a result


def find_images(sources: str | Sequence[str]) -> list[Path]:
    """List the picture files in `sources`: files, folders and globs (`**` matches subfolders).

    Each file is listed once, and the order is always the same. If a source is the name of a single
    file, it is listed even if the file is missing. `load_image` then raises the error for it.
    Raises `ImageError` for a folder without pictures, a glob without matches and an empty list.
    """
    found: dict[str, Path] = {}
    sources = [sources] if isinstance(sources, str) else sources
    for source in map(expand_home, filter(None, sources)):
        path = Path(source)
        if os.path.isdir(path):
            matches = _pictures(_listed(path))
            if not matches:
                raise ImageError(f"the folder {path} holds no pictures")
        elif glob.has_magic(source) and not os.path.exists(path):
            matches = _pictures(_matches(source))
            if not matches:
                raise ImageError(f"no picture matches {source}")
        else:
            matches = [path]
        for match in matches:
            found.setdefault(os.path.abspath(match), match)
    if not found:
        raise ImageError("no images given; set images to a file, a folder or a glob")
    return list(found.values())


def distinct_names(
    paths: Sequence[Path], reserved: str = "", taken: Mapping[Path, str] | None = None
) -> dict[Path, str]:
    """A name for each path, from which the names of its results are made: its stem.

    If several stems are the same, a number is added. Upper and lower case count as the same. A very
    long stem is cut off. `reserved` is a pattern of names that other files of the run have. A stem
    that matches it gets the ending `_image`. `taken` are the names of results that exist already:
    a path in it keeps its name, and no other path gets it.
    """
    earlier = taken or {}
    names = {path: earlier[path] for path in paths if path in earlier}
    used = {name.lower() for name in earlier.values()}
    for path in paths:
        if path in names:
            continue
        start = shortened(path.stem, ROOM)
        if reserved and re.fullmatch(reserved, start, re.IGNORECASE):
            start += "_image"
        name, number = start, 1
        while name.lower() in used:
            number += 1
            name = f"{start}_{number}"
        used.add(name.lower())
        names[path] = name
    return {path: names[path] for path in paths}


def load_image(path: str | Path, within: tuple[int, int] | None = None) -> Image.Image:
    """Open a picture of any mode as 8-bit RGB.

    The picture is turned upright, as its EXIF data says. Transparent parts become white. `within`
    is a size `(width, height)` to which the picture will be reduced later. A JPEG is then read at
    a reduced size that is still larger than `within`, which is faster.

    Raises `ImageError` for a file that is missing or damaged, is not a picture, has a side of less
    than 8 pixels, or has more than 89 million pixels.
    """
    with _opened(path) as (image, _):
        if within:
            image.draft(None, within)
        image.load()
        return _rgb(_upright(image), image.format)


def load_with_digest(path: str | Path) -> tuple[Image.Image, str]:
    """As `load_image`, together with a digest of the bytes of the file, which is opened once."""
    with _opened(path) as (image, file):
        image.load()
        file.seek(0)
        return _rgb(_upright(image), image.format), file_digest(file)


def load_mask(path: str | Path, size: tuple[int, int]) -> Image.Image:
    """Open a mask as 8-bit grey values: its alpha channel if it has one, else its grey values.

    `size` is the `(width, height)` of the picture that the mask belongs to. Raises `ImageError` for
    a file that is missing or damaged, is not a picture, or has another size.
    """
    with _opened(path) as (image, _):
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


def crop(image: Image.Image, size: int, resize: int, resample: str = "bicubic") -> Image.Image:
    """Resize the short side to `resize` and cut out the centre, `size` × `size`, in one step."""
    side = min(image.size) * size / resize
    left, top = (image.width - side) / 2, (image.height - side) / 2
    box = (
        max(left, 0),
        max(top, 0),
        min(left + side, image.width),
        min(top + side, image.height),
    )
    return image.resize((size, size), getattr(Image.Resampling, resample.upper()), box=box)


def to_tensor(
    pictures: Sequence[Image.Image],
    mean: Sequence[float] = IMAGENET_MEAN,
    std: Sequence[float] = IMAGENET_STD,
) -> paddle.Tensor:
    """Convert pictures of one size to a float32 tensor `[N, C, H, W]`: (pixel / 255 − mean) / std.

    If `mean` has a single number, the tensor is grey: `[N, 1, H, W]`.
    """
    mode = "L" if len(mean) == 1 else "RGB"
    pixels = [np.asarray(picture.convert(mode), dtype="float32") / 255 for picture in pictures]
    stack = np.stack(pixels).reshape(len(pixels), *pixels[0].shape[:2], len(mean))
    normalised = (stack - np.asarray(mean, "float32")) / np.asarray(std, "float32")
    return paddle.to_tensor(np.ascontiguousarray(normalised.transpose(0, 3, 1, 2)))


def to_pixels(
    images: paddle.Tensor,
    mean: Sequence[float] = IMAGENET_MEAN,
    std: Sequence[float] = IMAGENET_STD,
) -> np.ndarray:
    """The inverse of `to_tensor`: `[N, H, W, 3]` uint8. Values out of the range are clipped."""
    scaled = images.numpy().transpose(0, 2, 3, 1) * np.asarray(std, "float32")
    pixels = np.clip(np.round((scaled + np.asarray(mean, "float32")) * 255), 0, 255).astype("uint8")
    return np.repeat(pixels, 3, axis=3) if pixels.shape[3] == 1 else pixels


@contextmanager
def _opened(path: str | Path) -> Iterator[tuple[Image.Image, BinaryIO]]:
    """Open a picture and its file. Its pixels are not read yet.

    Any error in the block is an `ImageError`.
    """
    path = Path(expand_home(path))
    try:
        if is_pipe_or_device(path):
            raise ImageError(f"{path} is a pipe or a device, not a picture")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the size is checked below
            with open(path, "rb") as file, Image.open(file) as image:
                if image.format == "EPS":
                    raise ImageError(
                        f"{path} is an EPS file, which is a program and is not run; save it as .png"
                    )
                _check_size(image, path)
                yield image, file
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


def _matches(pattern: str) -> list[Path]:
    try:
        return [Path(name) for name in glob.glob(pattern, recursive=True)]
    except (ValueError, RecursionError):  # a letter that no name can have, or thousands of folders
        return []


def _listed(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError as error:
        raise ImageError(f"cannot read the folder {folder}: {error.strerror or error}") from error


def _pictures(paths: Iterable[Path]) -> list[Path]:
    endings = Image.registered_extensions()  # this also fills Image.OPEN
    formats = set(Image.OPEN) - {"HDF5", "MPEG", "GRIB", "BUFR", "WMF", "EPS"}
    known = {ending for ending, kind in endings.items() if kind in formats}
    hits = (p for p in paths if p.suffix.lower() in known and not p.name.startswith("."))
    return sorted(filter(os.path.isfile, hits))


def _check_size(image: Image.Image, path: Path) -> None:
    width, height = image.size
    if min(width, height) < MIN_SIDE:
        raise ImageError(f"{path} is {width}×{height}; at least {MIN_SIDE}×{MIN_SIDE} is needed")
    if width * height > MAX_PIXELS:
        raise ImageError(f"{path} has over {MAX_PIXELS:,} pixels; make it smaller")


def _upright(image: Image.Image) -> Image.Image:
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
