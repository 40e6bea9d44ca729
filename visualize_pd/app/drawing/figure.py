"""Draw rows of panels above a caption."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from .captions import BACKGROUND, FAINT_COLOUR, TEXT_COLOUR, draw_text

Row = tuple[str, Sequence[tuple[str, np.ndarray]]]


def figure(
    rows: Sequence[Row], caption: str, note: str = "", scale: int = 2, smooth: int = 1
) -> Image.Image:
    """Draw rows `(label, panels)` of panels `(title, [H, W, 3] uint8)`, a caption and a note.

    A pixel becomes a square of `scale` × `scale` pixels, so that single pixels can be seen. The
    first `smooth` panels of a row are photographs and are enlarged smoothly. A row without a label
    or titles has no space for them.
    """
    height, width = rows[0][1][0][1].shape[:2]
    scale = max(scale, -(-160 * scale // max(height, width)))  # small inputs are enlarged more
    width, height, gap = width * scale, height * scale, 32 if scale > 1 else 20
    title_size, label_size = (26, 28) if scale > 1 else (18, 19)
    heads = [
        (44 if label else 0) + (title_size + 18 if any(title for title, _ in panels) else 0)
        for label, panels in rows
    ]
    columns = max(len(panels) for _, panels in rows)
    top = gap + sum(heads) + len(rows) * height + (len(rows) - 1) * gap
    bottom = (44 if caption else 0) + (36 if note else 0) + 32
    sheet = Image.new("RGB", (columns * (width + gap) + gap, top + bottom), BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    inner = sheet.width - 2 * gap
    y = gap
    for (label, panels), head in zip(rows, heads):
        draw_text(draw, (gap, y + 30), label, label_size, TEXT_COLOUR, inner)
        y += head
        for column, (title, pixels) in enumerate(panels):
            x = gap + column * (width + gap)
            is_smooth = column < smooth
            resample = Image.Resampling.LANCZOS if is_smooth else Image.Resampling.NEAREST
            sheet.paste(Image.fromarray(pixels).resize((width, height), resample), (x, y))
            draw_text(draw, (x, y - title_size // 2), title, title_size, TEXT_COLOUR, width)
        y += height + gap
    draw_text(draw, (gap, top + 46), caption, 32 if scale > 1 else 22, TEXT_COLOUR, inner)
    draw_text(draw, (gap, top + 84), note, 24 if scale > 1 else 18, FAINT_COLOUR, inner)
    return sheet
