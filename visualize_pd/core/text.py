"""Texts that come from outside, such as names of files and classes, made safe to show."""

from __future__ import annotations

import re
import unicodedata

# Characters that change the direction or the lines of the text around them.
_TURNING = {*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x2028, 0x2029}
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def printable(text: object) -> str:
    """A text on one line, with control characters written out, such as `\\x1b`.

    A terminal would obey them: it would move the cursor, change colours, or worse.
    """
    lines = str(text).splitlines()
    return _escaped(" ".join(line.strip() for line in lines) if len(lines) > 1 else "".join(lines))


def safe_cell(text: str) -> str:
    """A cell of a CSV file that no spreadsheet runs as a formula, without control characters.

    `read_cell` gives the text back.
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
        if unicodedata.category(c) == "Cc" or ord(c) in _TURNING
        else c
        for c in text
    )
