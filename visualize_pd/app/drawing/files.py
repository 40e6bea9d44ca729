"""Write pictures and arrays to files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from ...core.errors import OutputError
from ...core.files import atomic_write


def save_picture(path: str | Path, picture: Image.Image | np.ndarray) -> None:
    """Write a picture in the format of the suffix. A JPEG keeps the full colour resolution.

    Raises `OutputError` if the suffix does not belong to a picture format.
    """
    picture = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    suffix = Path(path).suffix.lower()
    if suffix not in Image.registered_extensions():
        raise OutputError(f"{path} does not end in the name of a picture format, such as .png")
    options = {"quality": 92, "subsampling": 0} if suffix in (".jpg", ".jpeg") else {}
    with atomic_write(path) as file:
        picture.save(file, format=Image.registered_extensions()[suffix], **options)


def save_array(path: str | Path, values: np.ndarray) -> None:
    """Write a numpy `.npy` file."""
    with atomic_write(path) as file:
        np.save(file, values, allow_pickle=False)
