"""Make texts safe to show. They come from outside, such as names of files and classes."""

from __future__ import annotations

import re
import unicodedata

# Characters that change the direction of the text around them, or begin a new line.
_TURNING = {*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x2028, 0x2029}
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def printable(text: object) -> str:
    """The text on one line, with control characters written as `\\x1b`, for example.

    So are the bytes of a file name that are not valid text. A terminal would obey control
    characters. It would move the cursor or change colours.
    """
    lines = str(text).splitlines()
    return _escaped(" ".join(line.strip() for line in lines) if len(lines) > 1 else "".join(lines))


def safe_cell(text: str) -> str:
    """The text as a cell of a CSV file, without control characters.

    A spreadsheet does not run the cell as a formula. `read_cell` gives the text back.
    """
    text = _escaped(re.sub(r"\\(?=[xu])", r"\\x5c", text))
    return f"'{text}" if text.lstrip("'").startswith(_FORMULA) else text


def read_cell(text: str) -> str:
    """The inverse of `safe_cell`."""
    if text.startswith("'") and text.lstrip("'").startswith(_FORMULA):
        text = text[1:]
    return re.sub(
        r"\\(?:x([0-9a-f]{2})|u([0-9a-f]{4}))", lambda m: chr(int(m[1] or m[2], 16)), text
    )


def _escaped(text: str) -> str:
    return "".join(
        f"\\{'x' if ord(c) < 256 else 'u'}{ord(c):0{2 if ord(c) < 256 else 4}x}"
        if unicodedata.category(c) in ("Cc", "Cs") or ord(c) in _TURNING
        else c
        for c in text
    )
