"""Print lines to a terminal, and return exit codes."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Sequence

from tqdm import tqdm

from ...core.errors import VisualizeError
from ...core.text import printable
from ..streams import protect_streams

DONE, PARTLY, FAILED, INTERRUPTED = 0, 1, 2, 130


def exit_code(run: Callable[[], int]) -> int:
    """Run a command and return its exit code. A `VisualizeError` is printed in one sentence."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    protect_streams()
    _announce()
    try:
        return run()
    except VisualizeError as error:
        print(f"error: {printable(error)}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED


class _Notes(logging.Handler):
    """Prints each record of the log as one line, without control characters."""

    def emit(self, record: logging.LogRecord) -> None:
        complain(f"note: {record.getMessage()}")


def _announce() -> None:
    """Print the log of the package as plain lines, not in the style of Paddle's root logger."""
    logger = logging.getLogger("visualize_pd")
    if not logger.handlers:
        logger.addHandler(_Notes())
        logger.propagate = False


def complain(line: str) -> None:
    """Print a line to stderr, above any progress bar."""
    tqdm.write(printable(line), file=sys.stderr)


def say(line: str) -> None:
    """Print a line to stdout, above any progress bar."""
    tqdm.write(printable(line))
    sys.stdout.flush()


def say_table(rows: Iterable[Sequence[str]]) -> None:
    """Print rows in columns, each as wide as its longest cell."""
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows)]
    for row in rows:
        say("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
