"""Where pictures come from: files that people bring, and samples."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder
from PIL import Image

from ....core.errors import ImageError
from ....core.images import find_images, load_image
from ..texts import PageError, Pair

NO_FILE: Pair = ("no file was uploaded; choose a picture", "没有上传文件，请选择一张图片")
MOST_SAMPLES = 12
THUMBNAIL = (96, 96)


def as_path(upload: gr.Image) -> gr.Image:
    """Let an upload be the path and the name of its file. The app opens it by its own loader.

    Gradio would open the picture itself, and it would also download one from an address.
    """

    def path_and_name(payload: Any) -> tuple[str | None, str] | None:
        return None if payload is None else (payload.path, payload.orig_name or "")

    async def where_it_is(path: str | Path) -> str:
        if not Path(path).resolve().is_relative_to(Path(get_upload_folder()).resolve()):
            raise gr.Error(NO_FILE[0], print_exception=False)
        return str(path)

    upload.preprocess = path_and_name  # type: ignore[assignment]
    upload.async_move_resource_to_block_cache = where_it_is  # type: ignore[assignment, method-assign]
    return upload


def taken(path: str | None, name: str) -> tuple[str, bytes]:
    """The name and the bytes of an uploaded file, which is removed. Raises a `VisualizeError`."""
    if path is None:
        raise PageError(NO_FILE)
    try:
        return name, Path(path).read_bytes()
    except OSError as error:
        raise ImageError(f"cannot read {name}: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            os.remove(path)
            os.rmdir(Path(path).parent)  # Gradio names it after the content


def find_samples(images: str | list[str]) -> list[Path]:
    """Some of the pictures that the config names. They may be missing."""
    try:
        return [path for path in find_images(images) if path.is_file()][:MOST_SAMPLES]
    except ImageError:
        return []


def thumbnail(path: Path) -> Image.Image:
    picture = load_image(path, THUMBNAIL)
    picture.thumbnail(THUMBNAIL)
    return picture
