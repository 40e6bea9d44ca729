"""Draw rows of panels above a caption."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from .captions import BACKGROUND, FAINT_COLOUR, TEXT_COLOUR, draw_text, lines_of

Row = tuple[str, Sequence[tuple[str, np.ndarray]]]


def figure(
    rows: Sequence[Row],
    caption: str,
    note: str = "",
    scale: int = 2,
    smooth: int = 1,
    large: bool = False,
) -> Image.Image:
    """Draw rows `(label, panels)` of panels `(title, [H, W, 3] uint8)`, a caption and a note.

    A pixel becomes a square of `scale` × `scale` pixels, so that single pixels can be seen. The
    first `smooth` panels of a row are photographs and are enlarged smoothly. The panels of a row
    have one size. A row without a label or titles has no space for them. `large` is the size of the
    texts; they are always large if `scale` is over 1.
    """
    sizes = [panels[0][1].shape[:2] for _, panels in rows]
    # Small inputs are enlarged more.
    scale = max(scale, -(-160 * scale // max(side for size in sizes for side in size)))
    large = large or scale > 1
    width, gap = max(size[1] for size in sizes) * scale, 32 if large else 20
    heights = [size[0] * scale for size in sizes]
    title_size, label_size = (26, 28) if large else (18, 19)
    titles = [[lines_of(title, title_size, width) for title, _ in panels] for _, panels in rows]
    heads = [
        (44 if row[0] else 0) + _title_height(each, title_size) for row, each in zip(rows, titles)
    ]
    columns = max(len(panels) for _, panels in rows)
    top = gap + sum(heads) + sum(heights) + (len(rows) - 1) * gap
    bottom = (44 if caption else 0) + (36 if note else 0) + 32
    sheet = Image.new("RGB", (columns * (width + gap) + gap, top + bottom), BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    inner = sheet.width - 2 * gap
    y = gap
    for (label, panels), head, height, lines in zip(rows, heads, heights, titles):
        draw_text(draw, (gap, y + 30), label, label_size, TEXT_COLOUR, inner)
        y += head
        for column, (_, pixels) in enumerate(panels):
            x = gap + column * (width + gap)
            is_smooth = column < smooth
            resample = Image.Resampling.LANCZOS if is_smooth else Image.Resampling.NEAREST
            size = (pixels.shape[1] * scale, height)
            sheet.paste(Image.fromarray(pixels).resize(size, resample), (x, y))
            for above, line in enumerate(reversed(lines[column])):
                bottom_line = y - title_size // 2 - above * (title_size + 6)
                draw_text(draw, (x, bottom_line), line, title_size, TEXT_COLOUR, width)
        y += height + gap
    draw_text(draw, (gap, top + 46), caption, 32 if large else 22, TEXT_COLOUR, inner)
    draw_text(draw, (gap, top + 84), note, 24 if large else 18, FAINT_COLOUR, inner)
    return sheet


def _title_height(titles: Sequence[Sequence[str]], size: int) -> int:
    """The height of the titles of a row. Each title has one line or two."""
    most = max(len(lines) for lines in titles)
    return most * (size + 6) + 12 if any(lines[0] for lines in titles) else 0
