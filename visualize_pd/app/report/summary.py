"""`summary.csv`: a table with a row for each image and class, from all processes of a run."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import chain
from pathlib import Path

from ...core.errors import OutputError
from ...core.files import locked, process_started, remove_leftovers
from ...core.fingerprint import Fingerprint, changed, digest
from .parts import Part, part_path, part_paths, read_part, write_part
from .rows import Row, is_skipped, read_rows, write_rows

SAVE_SECONDS, LOOK_SECONDS = 1.0, 0.2
WRITTEN: set[int] = set()  # when this process has written a summary, as `_stamp` gives it


class Summary:
    """The rows of one process, and at the end the rows of all processes.

    Each process writes its own part. The first process waits for all parts, writes the whole
    summary and removes the parts. The others wait until this is done, because a launcher ends all
    processes as soon as one fails.

    `inputs` is the fingerprint of what all processes have in common. With `keep`, the summary also
    keeps the rows of the figures that earlier runs have made of other images. It always keeps those
    of another process that has ended since this one was started.
    """

    def __init__(
        self,
        folder: Path,
        inputs: Fingerprint,
        rank: int = 0,
        size: int = 1,
        keep: bool = False,
    ):
        self.path, self.inputs, self.rank, self.size = folder / "summary.csv", inputs, rank, size
        self.keep = keep
        self.rows: list[Row] = []
        self.part = part_path(folder, rank, size)
        self.next_save = time.monotonic() + SAVE_SECONDS
        self.launch = digest(os.environ.get("PADDLE_TRAINER_ENDPOINTS", ""))
        self.launcher = os.getppid()

    def known(self) -> dict[str, list[Row]]:
        """The rows of earlier runs for each file, by its whole path. Runs that were killed count.

        The damaged part of a killed run does not count.
        """
        parts = [read_part(path) for path in part_paths(self.path.parent)]
        rows: dict[str, list[Row]] = {}
        for several in (read_rows(self.path), *(part.rows for part in parts if part)):
            newer: dict[str, list[Row]] = {}
            for row in several:
                newer.setdefault(os.path.abspath(row["file"]), []).append(row)
            rows.update(newer)
        return rows

    def add(self, rows: Sequence[Row]) -> None:
        """Add rows. They are saved to a file now and then, in case the process is killed.

        This is about once a second, or less often if it would take more than a twentieth of the
        time: all rows are written each time.
        """
        self.rows.extend(rows)
        if time.monotonic() > self.next_save:
            self.save()

    def save(self, done: bool = False) -> None:
        """Write the rows of this process so far. A single process without results writes none."""
        if self._has_results():
            start = time.monotonic()
            write_part(self.part, Part(self.inputs, self.launch, done, self.rows))
            now = time.monotonic()
            self.next_save = now + max(SAVE_SECONDS, 19 * (now - start))

    def _has_results(self) -> bool:
        return self.size > 1 or any(not is_skipped(row) for row in self.rows)

    def finish(
        self, order: Sequence[str], report: Callable[[list[Row]], None] | None = None
    ) -> list[Row]:
        """Write the summary of all processes, or wait for it. Return the rows of this run.

        `order` is the order of the files. The first process also calls `report` with the rows of
        this run, while the others still wait: a process that ends with another exit code than 0
        would end all of them. Raises `OutputError` if the processes do not have the same inputs.
        """
        if not self._has_results():
            return self.rows
        self.save(done=True)
        places = {file: place for place, file in enumerate(order)}
        if self.rank > 0:
            self._wait_for_the_first()
            return [row for row in read_rows(self.path) if row["file"] in places]
        others = self._parts_of_the_others()
        rows = [*self.rows, *(row for part in others.values() for row in part.rows)]
        rows.sort(key=lambda row: places.get(row["file"], len(places)))
        try:
            with locked(self.path.with_name(".summary.lock")):
                write_rows(self.path, [*rows, *self._kept(rows)])
                WRITTEN.add(_stamp(self.path))
            if report:
                report(rows)
        finally:
            for path in (self.part, *others):
                with suppress(OSError):
                    path.unlink()
            remove_leftovers(self.path.parent)
        return rows

    def _kept(self, rows: Sequence[Row]) -> list[Row]:
        """The rows of other runs that the summary keeps. Their figures still exist."""
        stamp = _stamp(self.path)
        if not self.keep and (stamp in WRITTEN or stamp < process_started() * 1e9):
            return []
        files = {os.path.abspath(row["file"]) for row in rows}
        figures = {os.path.abspath(row["figure"]) for row in rows if row.get("figure")}
        others = (rows for file, rows in self.known().items() if file not in files)
        return [
            row
            for row in chain.from_iterable(others)
            if os.path.isfile(row["figure"]) and os.path.abspath(row["figure"]) not in figures
        ]

    def _wait_for_the_first(self) -> None:
        """Wait until the first process has removed the part of this one.

        Meanwhile the time of the part changes. So the first process can tell that it was not left
        by a killed run.
        """
        while True:
            time.sleep(LOOK_SECONDS)
            try:
                os.utime(self.part)
            except FileNotFoundError:
                return
            self._check_launcher()

    def _check_launcher(self) -> None:
        """Raise `OutputError` if nobody can end this process while it waits for the others."""
        if os.getppid() != self.launcher:
            raise OutputError("the launcher of this process has ended, so it ends too")

    def _parts_of_the_others(self) -> dict[Path, Part]:
        """The complete parts of the other processes, which are still running."""
        found: dict[int, tuple[Path, Part]] = {}
        seen: dict[Path, int] = {}
        while len(found) < self.size - 1:
            time.sleep(LOOK_SECONDS)
            self._check_launcher()
            for rank in set(range(1, self.size)) - found.keys():
                for path in part_paths(self.path.parent, f"{rank}of{self.size}"):
                    time_before, time_now = seen.get(path), _stamp(path)
                    seen[path] = time_now
                    part = read_part(path) if time_before not in (None, time_now) else None
                    if part and part.done and part.launch == self.launch:
                        self._check_inputs(rank, part)
                        found[rank] = path, part
        return dict(found[rank] for rank in sorted(found))

    def _check_inputs(self, rank: int, part: Part) -> None:
        differs = changed(part.inputs, self.inputs)
        if differs:
            raise OutputError(
                f"process {rank + 1} of {self.size} works with another {' and '.join(differs)} "
                "than the first one; all processes need the same"
            )


def _stamp(path: Path) -> int:
    """When a file was last changed, in ns. 0 if it does not exist."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
