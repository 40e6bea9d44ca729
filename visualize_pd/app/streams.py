"""Standard output and error that never fail: the work counts, not the lines about it."""

from __future__ import annotations

import io
import os
import sys
from typing import TextIO


def protect_streams() -> None:
    """Let lines get lost where stdout or stderr is closed, full or a broken pipe.

    Streams that were replaced, as in a notebook, stay as they are.
    """
    _open_closed_files()
    for name, number in (("stdout", 1), ("stderr", 2)):
        stream, original = getattr(sys, name), getattr(sys, f"__{name}__")
        if stream is original and not isinstance(getattr(stream, "buffer", None), _Protected):
            setattr(sys, name, _protected(stream, number))
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _open_closed_files() -> None:
    """Open files 0, 1 and 2 if they are closed. Otherwise a result could get such a number.

    Paddle would then write its own messages into the result.
    """
    while True:
        number = os.open(os.devnull, os.O_RDWR)
        if number > 2:
            os.close(number)
            return


def _protected(stream: TextIO | None, number: int) -> TextIO:
    encoding = getattr(stream, "encoding", None) or "utf-8"
    terminal = os.isatty(number)
    return io.TextIOWrapper(
        _Protected(_Forgiving(number)),
        encoding=encoding,
        errors="backslashreplace",  # for terminals that cannot print →
        line_buffering=terminal or number == 2,
    )


class _Protected(io.BufferedWriter):
    """A buffer over a file that never fails."""


class _Forgiving(io.RawIOBase):
    """A file that takes everything. What it cannot write is lost."""

    def __init__(self, number: int):
        self.number = number

    def write(self, data) -> int:  # type: ignore[no-untyped-def]
        try:
            return os.write(self.number, data)
        except OSError:
            return len(data)

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self.number

    def isatty(self) -> bool:
        return os.isatty(self.number)
