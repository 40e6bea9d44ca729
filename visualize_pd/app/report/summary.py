"""`summary.csv`: a table with a row for each image and class, from all processes of a run."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from ...core.errors import OutputError
from ...core.files import write_text
from ...core.text import read_cell, safe_cell

FIELDS = (
    *("file", "figure", "class", "name", "probability"),
    *("predicted", "predicted_name", "predicted_probability", "note"),
)
Row = dict[str, str]
SAVE_SECONDS, LOOK_SECONDS = 1.0, 0.2


class Summary:
    """The rows of one process, and at the end the rows of all processes.

    Each process writes its own part. The first process waits for all parts, writes the whole
    summary and removes the parts. The others wait until this is done, because a launcher ends all
    processes as soon as one fails.
    """

    def __init__(self, folder: Path, rank: int = 0, size: int = 1):
        self.path, self.rank, self.size = folder / "summary.csv", rank, size
        self.rows: list[Row] = []
        self.saved = time.monotonic()
        endpoints = os.environ.get("PADDLE_TRAINER_ENDPOINTS", "")
        self.run = hashlib.md5(endpoints.encode()).hexdigest()[:8]  # the same in all processes

    def known(self) -> dict[str, list[Row]]:
        """The rows of earlier runs for each file. Runs that were killed count too."""
        rows: dict[str, list[Row]] = {}
        for path in (self.path, *sorted(self.path.parent.glob(".summary.*.csv"))):
            newer: dict[str, list[Row]] = {}
            for row in _read(path):
                newer.setdefault(row["file"], []).append(row)
            rows.update(newer)
        return rows

    def add(self, rows: Sequence[Row]) -> None:
        """Add rows. About once a second they are saved to a file, in case the process is killed."""
        self.rows.extend(rows)
        if time.monotonic() - self.saved > SAVE_SECONDS:
            self.save()

    def save(self) -> None:
        """Write the rows of this process so far. A single process without results writes none."""
        if self._has_results():
            _write(self._part(), self.rows)
            self.saved = time.monotonic()

    def _has_results(self) -> bool:
        return self.size > 1 or any(not is_skipped(row) for row in self.rows)

    def finish(
        self, order: Sequence[str], report: Callable[[list[Row]], None] | None = None
    ) -> list[Row]:
        """Write the summary of all processes, or wait for it. `order` is the order of the files.

        The first process also calls `report` with all rows, while the others still wait: a process
        that ends with another exit code than 0 would end all of them.
        """
        if not self._has_results():
            return self.rows
        self.save()
        parts = [self._part(rank, done=True) for rank in range(self.size)]
        os.replace(self._part(), parts[self.rank])
        if self.rank > 0:
            while parts[self.rank].exists():
                time.sleep(LOOK_SECONDS)
            return list(_read(self.path))
        while not all(part.exists() for part in parts):
            time.sleep(LOOK_SECONDS)
        places = {file: place for place, file in enumerate(order)}
        rows = [row for part in parts for row in _read(part)]
        rows.sort(key=lambda row: places.get(row["file"], len(places)))
        try:
            _write(self.path, rows)
            if report:
                report(rows)
        finally:
            for stale in self.path.parent.glob(".summary.*.csv"):
                with suppress(OSError):
                    stale.unlink()
        return rows

    def _part(self, rank: int | None = None, done: bool = False) -> Path:
        rank = self.rank if rank is None else rank
        state = f"done.{self.run}" if done else "open"
        return self.path.with_name(f".summary.{state}.{rank}.csv")


def skipped(file: Path, why: object) -> Row:
    """The row of an image that was skipped, with the reason."""
    return {"file": str(file), "note": f"skipped: {why}"}


def is_skipped(row: Row) -> bool:
    """Whether a row belongs to an image that was skipped."""
    return row["note"].startswith("skipped: ")


def _read(path: Path) -> list[Row]:
    try:
        with open(path, encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except FileNotFoundError:
        return []
    except (OSError, ValueError, csv.Error) as error:
        raise OutputError(f"cannot read {path}: {error}; remove it to start anew") from error
    return [
        {key: read_cell(row.get(key) or "") for key in FIELDS} for row in rows if row.get("file")
    ]


def _write(path: Path, rows: Sequence[Row]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, FIELDS, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    writer.writerows({key: safe_cell(value) for key, value in row.items()} for row in rows)
    write_text(path, text.getvalue())
