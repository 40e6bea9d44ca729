"""The temporary files that killed runs have left. Their names contain the id of the run."""

from __future__ import annotations

import os
import platform
import re
import time
from collections.abc import Iterable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from ..errors import OutputError
from ..fingerprint import digest

_TEMPORARY = re.compile(r"\.(?:.*\.)?([0-9a-f]+-[0-9]+-[0-9]+)\.(?:[0-9]+\.partial|part)")
IMPORTED = time.time()
ELSEWHERE = 24 * 3600.0  # seconds after which a file of a run on another machine counts as left


def run_id() -> str:
    """The id of this process: its machine, its number, and the time at which it was started."""
    return _id_of(os.getpid())


@lru_cache(maxsize=1)
def _id_of(process: int) -> str:
    return f"{_machine()}-{process}-{_start_of(process)}"


def _was_left(path: Path, run: str) -> bool:
    """Whether the run with this id has ended, so that its temporary file `path` is left over.

    A run on another machine cannot be looked up. Its file counts as left over after a day.
    """
    machine, _, process = run.partition("-")
    number, _, start = process.partition("-")
    if machine == _machine() and start != "0":
        return _start_of(int(number)) != start
    with suppress(OSError):
        return time.time() - path.stat().st_mtime > ELSEWHERE
    return False


def process_started() -> float:
    """When this process was started, in seconds since 1970. Or, if not known, its first import."""
    try:
        ticks = int(_start_of(os.getpid()))
        if not ticks:
            return IMPORTED
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
        return time.time() - age
    except (AttributeError, OSError, ValueError):
        return IMPORTED


def remove_files(folder: Path, old: Iterable[Path]) -> None:
    """Remove the files of an earlier run in a folder, and what killed runs have left there.

    Raises `OutputError` for a file that cannot be removed.
    """
    try:
        for path in old:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"cannot remove the old files in {folder}: {error.strerror}") from error
    remove_leftovers(folder)


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files that killed runs have left in a folder."""
    with suppress(OSError):
        for path in folder.glob(".*"):
            named = _TEMPORARY.fullmatch(path.name)
            if named and _was_left(path, named[1]):
                path.unlink(missing_ok=True)


def _machine() -> str:
    space = ""
    with suppress(OSError):  # processes of two containers can have the same number
        space = os.readlink("/proc/self/ns/pid")
    return digest(platform.node(), space)


def _start_of(process: int) -> str:
    """When a process was started, in units of the system. `0` if this is not known."""
    try:
        line = Path(f"/proc/{process}/stat").read_text(errors="replace")
    except OSError:
        return "0"
    state, *fields = line.rpartition(")")[2].split()  # the name of the program is in brackets
    return "0" if state in "ZX" else fields[18]
