"""Put pictures side by side, or cut them out of their background."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from .captions import BACKGROUND, TEXT_COLOUR, draw_text

CLEAR, OPAQUE = 20, 80  # the percentiles of the importance between which opacity grows


def tile(pictures: np.ndarray, columns: int) -> np.ndarray:
    """Put pictures `[N, H, W, 3]` side by side in rows of `columns`. Empty cells are white.

    With a fourth channel, the opacity, they are transparent.
    """
    count, height, width, channels = pictures.shape
    rows = -(-count // columns)
    empty = np.array([255, 255, 255, 0], "uint8")[:channels]
    sheet = np.tile(empty, (rows * columns, height, width, 1))
    sheet[:count] = pictures
    sheet = sheet.reshape(rows, columns, height, width, channels).swapaxes(1, 2)
    return sheet.reshape(rows * height, columns * width, channels)


def cut_out(pictures: np.ndarray, importance: np.ndarray) -> np.ndarray:
    """Pictures `[N, H, W, 3]` with an opacity as fourth channel (Fel et al. 2023).

    It grows with the `importance` `[N, H, W]` of a pixel, and is full from the 80th percentile on.
    Here it begins at the 20th.
    """
    empty, full = np.percentile(importance, (CLEAR, OPAQUE), axis=(1, 2), keepdims=True)
    share = np.clip((importance - empty) / np.where(full > empty, full - empty, 1), 0, 1)
    opacity = np.round(share * 255).astype("uint8")
    return np.concatenate([pictures, opacity[..., None]], axis=3)


def untile(sheet: np.ndarray, count: int, columns: int) -> np.ndarray:
    """The inverse of `tile`."""
    rows = -(-count // columns)
    height, width = sheet.shape[0] // rows, sheet.shape[1] // columns
    pictures = sheet.reshape(rows, height, columns, width, 3).swapaxes(1, 2)
    return pictures.reshape(-1, height, width, 3)[:count]


def captioned(
    pictures: np.ndarray, captions: Sequence[str], columns: int, size: int | None = None
) -> np.ndarray:
    """Draw pictures `[N, H, W, 3]` in a grid with captions below them: a frame `[h, w, 3]`.

    `size` is the longer side of each picture. It is reached by Lanczos resampling. A single picture
    without a caption fills the frame.
    """
    height, width = pictures.shape[1:3]
    factor = size / max(height, width) if size else 1
    height, width = max(1, round(height * factor)), max(1, round(width * factor))
    lines = 26 if any(captions) else 0
    gap = 8 if len(pictures) > 1 else 0
    rows = -(-len(pictures) // columns)
    sheet = Image.new(
        "RGB",
        (columns * (width + gap) + gap, rows * (height + gap + lines) + gap),
        BACKGROUND,
    )
    draw = ImageDraw.Draw(sheet)
    for number, (pixels, caption) in enumerate(zip(pictures, captions)):
        row, column = divmod(number, columns)
        x, y = gap + column * (width + gap), gap + row * (height + gap + lines)
        picture = Image.fromarray(pixels)
        if size:
            picture = picture.resize((width, height), Image.Resampling.LANCZOS)
        sheet.paste(picture, (x, y))
        if caption:
            draw_text(draw, (x + 4, y + height + 19), caption, 16, TEXT_COLOUR, width - 8)
    return np.asarray(sheet)
