"""The rows of `summary.csv`."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from ...core.errors import OutputError
from ...core.files import write_text
from ...core.text import read_cell, safe_cell

FIELDS = (
    *("file", "figure", "class", "name", "rather_than", "probability", "score"),
    *("predicted", "predicted_name", "predicted_probability", "note", "fingerprint"),
)
LONGEST_NOTE = 1000
Row = dict[str, str]


def skipped(file: Path, why: object) -> Row:
    """The row of an image that was skipped, with the reason."""
    empty = dict.fromkeys(FIELDS, "")
    return {**empty, "file": str(file), "note": f"skipped: {why}"[:LONGEST_NOTE]}


def is_skipped(row: Row) -> bool:
    """Whether a row belongs to an image that was skipped."""
    return row["note"].startswith("skipped: ")


def read_rows(path: Path) -> list[Row]:
    """The rows of a summary. There are none if the file does not exist.

    Raises `OutputError` for a file that cannot be read.
    """
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


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """Write a summary."""
    text = io.StringIO()
    writer = csv.DictWriter(text, FIELDS, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(
        {key: value if key == "score" else safe_cell(value) for key, value in row.items()}
        for row in rows  # a score may be a negative number, which is no formula
    )
    write_text(path, text.getvalue())
