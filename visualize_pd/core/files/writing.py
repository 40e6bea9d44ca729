"""Write files. A file is written completely, or not at all."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import BinaryIO

from ..errors import OutputError
from .leftovers import run_id

MOST_BYTES_IN_A_NAME = 255
_written: ContextVar[list[Path] | None] = ContextVar("written", default=None)


@contextmanager
def atomic_write(path: str | Path) -> Iterator[BinaryIO]:
    """Open a binary file for writing. It appears at `path` only when it is complete.

    Missing folders are created. After an error or an interrupt, `path` is as it was before.
    Raises `OutputError` if the file cannot be written (no permission, full disk, …).
    """
    path = Path(path)
    partial = path.parent / f".{run_id()}.{threading.get_ident()}.partial"
    try:
        if not path.name or "\0" in path.name:
            raise OSError("this is not a file name")
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(partial, "wb") as file:
            yield file
        os.replace(partial, path)
        noted = _written.get()
        if noted is not None:
            noted.append(path)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        _remove(partial)


@contextmanager
def results_checked(folder: Path) -> Iterator[None]:
    """Raise `OutputError` at the end of the block if files that were written in it are gone."""
    before, written = _written.get(), list[Path]()
    _written.set(written)
    try:
        yield
        check_results(dict.fromkeys(written), folder)
    finally:
        _written.set(before)


def check_results(paths: Iterable[Path], folder: Path) -> None:
    """Raise `OutputError` if some of the files that a run has written are gone."""
    paths = list(paths)
    gone = [path for path in paths if not path.is_file()]
    if gone:
        raise OutputError(
            f"{len(gone)} of {len(paths)} results are not in {folder} any more, such as "
            f"{gone[0]}; was something removed during the run?"
        )


def shortened(name: str, room: int) -> str:
    """A name without its last letters, if it is too long for a file name with `room` more bytes."""
    most = MOST_BYTES_IN_A_NAME - room
    while len(os.fsencode(name)) > most:
        name = name[: max(1, min(len(name) - 1, most))]
    return name


def write_text(path: str | Path, text: str) -> None:
    """Write a text file in UTF-8.

    Some file names contain bytes that are not valid text. They are written as `\\udcff`, for
    example.
    """
    with atomic_write(path) as file:
        file.write(text.encode(errors="backslashreplace"))


def expand_home(path: str | Path) -> str:
    """A path with the home folder in place of `~`. If it is not known, the path stays the same."""
    try:
        return os.path.expanduser(path)
    except ValueError:  # the text after `~` cannot be the name of a user
        return str(path)


def is_pipe_or_device(path: str | Path) -> bool:
    """Whether a path is neither a file nor a folder. Such a path may block when it is opened."""
    return os.path.exists(path) and not (os.path.isfile(path) or os.path.isdir(path))


def make_output_folder(path: str | Path) -> Path:
    """Create a folder for results, and check that files can be written into it.

    This is done before any other work. Raises `OutputError` if no file can be written.
    """
    path = Path(expand_home(path))
    probe = path / f".{run_id()}.0.partial"
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe.touch()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise OutputError(
            f"cannot write to the output folder {path}: {reason}; choose another with -o output=DIR"
        ) from error
    finally:
        _remove(probe)
    return path


def _remove(path: Path) -> None:
    with suppress(OSError, ValueError):
        path.unlink()
