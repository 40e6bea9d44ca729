"""Locks between processes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import OutputError
from .writing import make_output_folder, results_checked

try:
    import fcntl
except ModuleNotFoundError:  # Windows
    fcntl = None  # type: ignore[assignment]


@contextmanager
def locked(path: Path, wait: bool = True) -> Iterator[None]:
    """Hold the lock file `path`, which only one process can hold. It is gone at the end.

    A killed process does not hold its lock any more. Raises `BlockingIOError` if `wait` is false
    and another process holds the lock. Where the system has no such locks, nothing is locked.
    """
    if fcntl is None:
        yield
        return
    flags = fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(file, flags)
        except BlockingIOError:
            os.close(file)
            raise
        except OSError:  # a file system without locks
            break
        if os.path.exists(path) and os.path.samestat(os.fstat(file), os.stat(path)):
            break
        os.close(file)  # the process that held it has removed it
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink()
        os.close(file)


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Raise `OutputError` if another run writes into the same folder at the same time.

    Also raise it at the end, if files that were written inside the block are gone.
    """
    make_output_folder(folder)
    try:
        with locked(folder / ".lock", wait=False), results_checked(folder):
            yield
    except BlockingIOError:
        raise OutputError(
            f"another run is writing into {folder}; wait for it, or choose another output"
        ) from None
