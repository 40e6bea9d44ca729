"""Files are written whole or not at all."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from .errors import OutputError


@contextmanager
def atomic_write(path: str | Path) -> Iterator[BinaryIO]:
    """Open a binary file that appears under `path` only once it is complete.

    Missing folders are made. After an error or an interruption `path` is as it was before.
    Raises `OutputError` where the file cannot be written (no permission, full disk, …).
    """
    path = Path(path)
    partial = path.parent / f".{os.getpid()}.{threading.get_ident()}.partial"
    try:
        if not path.name or "\0" in path.name:
            raise OSError("it is no file name")
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(partial, "wb") as file:
            yield file
        os.replace(partial, path)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        _remove(partial)


def write_text(path: str | Path, text: str) -> None:
    """Write a whole file in UTF-8; what is no letter in it, as in some file names, as `\\udcff`."""
    with atomic_write(path) as file:
        file.write(text.encode(errors="backslashreplace"))


def expand_home(path: str | Path) -> str:
    """A path with the home folder in place of `~`; as it is where there is none."""
    try:
        return os.path.expanduser(path)
    except ValueError:  # what follows `~` can be no name
        return str(path)


def is_pipe_or_device(path: str | Path) -> bool:
    """Whether to open or read what lies there may take for ever."""
    return os.path.exists(path) and not (os.path.isfile(path) or os.path.isdir(path))


def make_output_folder(path: str | Path) -> Path:
    """Make a folder for results and prove that it takes files, before any work is done.

    Raises `OutputError` where it doesn't.
    """
    path = Path(expand_home(path))
    probe = path / f".writable.{os.getpid()}.partial"
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
