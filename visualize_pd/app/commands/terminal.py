"""Print lines to a terminal, and return exit codes."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Sequence

from tqdm import tqdm

from ...core.errors import VisualizeError
from ...core.text import printable

DONE, PARTLY, FAILED, INTERRUPTED = 0, 1, 2, 130


def exit_code(run: Callable[[], int]) -> int:
    """Run a command and return its exit code. A `VisualizeError` is printed in one sentence."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # for terminals that cannot print →
    _announce()
    try:
        return run()
    except VisualizeError as error:
        print(f"error: {printable(error)}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED


class _PlainLine(logging.Formatter):
    """A record on one line, without control characters."""

    def format(self, record: logging.LogRecord) -> str:
        return f"note: {printable(record.getMessage())}"


def _announce() -> None:
    """Print the log of the package as plain lines, not in the style of Paddle's root logger."""
    logger = logging.getLogger("visualize_pd")
    if not logger.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(_PlainLine())
        logger.addHandler(handler)
        logger.propagate = False


def complain(line: str) -> None:
    """Print a line to stderr, above any progress bar."""
    tqdm.write(printable(line), file=sys.stderr)


def say(line: str) -> None:
    """Print a line to stdout, above any progress bar."""
    try:
        tqdm.write(printable(line))
        sys.stdout.flush()
    except OSError:  # a closed pipe or a full disk. The results are in their files in any case
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())


def say_table(rows: Iterable[Sequence[str]]) -> None:
    """Print rows in columns, each as wide as its longest cell."""
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows)]
    for row in rows:
        say("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
