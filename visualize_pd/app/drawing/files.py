"""Write pictures and arrays to files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ...core.errors import OutputError
from ...core.files import atomic_write


def save_picture(path: str | Path, picture: Image.Image | np.ndarray, comment: str = "") -> None:
    """Write a picture in the format of the suffix. A JPEG keeps the full colour resolution.

    The comment becomes a part of a JPEG. Raises `OutputError` if the suffix does not belong to a
    picture format.
    """
    picture = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    suffix = Path(path).suffix.lower()
    if suffix not in Image.registered_extensions():
        raise OutputError(f"{path} does not end in the name of a picture format, such as .png")
    options: dict[str, Any] = {}
    if suffix in (".jpg", ".jpeg"):
        options = {"quality": 92, "subsampling": 0, "comment": comment.encode()}
    with atomic_write(path) as file:
        picture.save(file, format=Image.registered_extensions()[suffix], **options)


def read_comment(path: str | Path) -> str:
    """The comment in a JPEG of `save_picture`. It is empty if the file has none or is no JPEG."""
    try:
        with Image.open(path) as picture:
            return bytes(picture.info.get("comment", b"")).decode()
    except Exception:  # for a damaged file Pillow can raise almost any error
        return ""


def save_array(path: str | Path, values: np.ndarray) -> None:
    """Write a numpy `.npy` file."""
    with atomic_write(path) as file:
        np.save(file, values, allow_pickle=False)
