"""Parts of a summary: hidden files, each with the rows of one process.

The name of a part contains the id of its run, so runs in the same folder do not write the same
part, and the parts of killed runs can be told. The first line of a part is its checksum.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ...core.files import run_id, write_text
from ...core.fingerprint import Fingerprint, digest
from .rows import FIELDS, Row


class Part(NamedTuple):
    """The rows of one process.

    `inputs` is the fingerprint of what all processes of a run have in common. `launch` is the same
    in all processes that one launcher has started. `done` says that no more rows will come.
    """

    inputs: Fingerprint
    launch: str
    done: bool
    rows: list[Row]


def part_path(folder: Path, rank: int, size: int) -> Path:
    """The path of the part of this process."""
    return folder / f".summary.{rank}of{size}.{run_id()}.part"


def part_paths(folder: Path, which: str = "*") -> Iterator[Path]:
    """The parts in a folder, of all runs. `which` is a process, such as `1of2`."""
    return iter(sorted(folder.glob(f".summary.{which}.*.part")))


def write_part(path: Path, part: Part) -> None:
    """Write a part with its checksum."""
    text = json.dumps(part._asdict())
    write_text(path, f"{digest(text)}\n{text}")


def read_part(path: Path) -> Part | None:
    """Read a part. None if it is damaged, or does not exist any more."""
    try:
        checksum, _, text = path.read_text(encoding="utf-8").partition("\n")
        if checksum != digest(text):
            return None
        part = Part(**json.loads(text))
        return part._replace(rows=[{k: row.get(k, "") for k in FIELDS} for row in part.rows])
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return None
