"""Draw text in a picture: fonts, sizes and colours."""

from __future__ import annotations

from contextlib import suppress
from typing import Union

from PIL import ImageDraw, ImageFont

_OWN_LETTERS = {*map(chr, range(32, 127)), "·", "…", "’"}

# Chinese fonts come first, because they also have Latin, Greek and Cyrillic letters.
_SYSTEM_FONTS = (
    *("NotoSansCJK-Regular.ttc", "NotoSansCJKsc-Regular.otf", "SourceHanSansSC-Regular.otf"),
    *("wqy-microhei.ttc", "wqy-zenhei.ttc", "msyh.ttc", "simhei.ttf", "PingFang.ttc"),
    *("Hiragino Sans GB.ttc", "DroidSansFallbackFull.ttf", "Arial Unicode.ttf", "DejaVuSans.ttf"),
)
TEXT_COLOUR, FAINT_COLOUR, BACKGROUND = (25, 25, 30), (110, 110, 118), (255, 255, 255)
SMALLEST = 14  # the size of a text that would not fit otherwise
Font = Union[ImageFont.ImageFont, ImageFont.FreeTypeFont]


def draw_text(
    draw: ImageDraw.ImageDraw, at: tuple, text: str, size: int, ink: tuple, width: int
) -> None:
    """Draw one line of text above `at`. A text wider than `width` gets smaller, and then is cut."""
    text = "".join(letter if letter.isprintable() else " " for letter in text)
    font = _font(text, size)
    while size > SMALLEST + 1 and font.getlength(text) > width:
        size -= 2
        font = _font(text, size)
    draw.text(at, _fitting(text, font, width), ink, font, anchor="ls")


def lines_of(text: str, size: int, width: int) -> list[str]:
    """The text as one line, or as two of about the same length if even its smallest size is cut."""
    words, smallest = text.split(" "), min(size, SMALLEST)
    if len(words) == 1 or _font(text, smallest).getlength(text) <= width:
        return [text]
    pairs = [(" ".join(words[:n]), " ".join(words[n:])) for n in range(1, len(words))]
    return list(min(pairs, key=lambda pair: max(map(len, pair))))


def _font(text: str, size: int) -> Font:
    """Pillow's own font, which has ASCII and a few more letters, or else a font of the system."""
    if not set(text) <= _OWN_LETTERS:
        for name in _SYSTEM_FONTS:
            with suppress(OSError):
                return ImageFont.truetype(name, size)
    return ImageFont.load_default(size)


def _fitting(text: str, font: Font, width: int) -> str:
    """The text. If it is wider than `width` pixels, it is cut and ends in an ellipsis."""
    if font.getlength(text) <= width:
        return text
    fits, too_long = 0, len(text)
    while too_long - fits > 1:
        middle = (fits + too_long) // 2
        if font.getlength(text[:middle] + "…") <= width:
            fits = middle
        else:
            too_long = middle
    return text[:fits].rstrip() + "…"
