"""Find picture files, and give the results of each picture a name of its own."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from PIL import Image

from ..errors import ImageError
from ..files import expand_home, shortened

ROOM = 80  # bytes for what follows the name of a picture in the name of a result


def find_images(sources: str | Sequence[str]) -> list[Path]:
    """List the picture files in `sources`: files, folders and globs (`**` matches subfolders).

    A glob that ends in `.npy` lists arrays. Each file is listed once, and the order is always the
    same. If a source is the name of a single file, it is listed even if the file is missing.
    `load_image` then raises the error for it.
    Raises `ImageError` for a folder without pictures, a glob without matches and an empty list.
    """
    found: dict[str, Path] = {}
    sources = [sources] if isinstance(sources, str) else sources
    for source in map(expand_home, filter(None, sources)):
        path = Path(source)
        if os.path.isdir(path):
            matches = _pictures(_listed(path))
            if not matches:
                raise ImageError(f"the folder {path} holds no pictures")
        elif glob.has_magic(source) and not os.path.exists(path):
            matches = _pictures(_matches(source), arrays=source.lower().endswith(".npy"))
            if not matches:
                raise ImageError(f"no picture matches {source}")
        else:
            matches = [path]
        for match in matches:
            found.setdefault(os.path.abspath(match), match)
    if not found:
        raise ImageError("no images given; set images to a file, a folder or a glob")
    return list(found.values())


def distinct_names(
    paths: Sequence[Path], reserved: str = "", taken: Mapping[Path, str] | None = None
) -> dict[Path, str]:
    """A name for each path, from which the names of its results are made: its stem.

    If several stems are the same, a number is added. Upper and lower case count as the same. A very
    long stem is cut off. `reserved` is a pattern of names that other files of the run have. A stem
    that matches it gets the ending `_image`. `taken` are the names of results that exist already:
    a path in it keeps its name, and no other path gets it.
    """
    earlier = taken or {}
    names = {path: earlier[path] for path in paths if path in earlier}
    used = {name.lower() for name in earlier.values()}
    for path in paths:
        if path in names:
            continue
        start = shortened(path.stem, ROOM)
        if reserved and re.fullmatch(reserved, start, re.IGNORECASE):
            start += "_image"
        name, number = start, 1
        while name.lower() in used:
            number += 1
            name = f"{start}_{number}"
        used.add(name.lower())
        names[path] = name
    return {path: names[path] for path in paths}


def _matches(pattern: str) -> list[Path]:
    try:
        return [Path(name) for name in glob.glob(pattern, recursive=True)]
    except (ValueError, RecursionError):  # a letter that no name can have, or thousands of folders
        return []


def _listed(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError as error:
        raise ImageError(f"cannot read the folder {folder}: {error.strerror or error}") from error


def _pictures(paths: Iterable[Path], arrays: bool = False) -> list[Path]:
    endings = Image.registered_extensions()  # this also fills Image.OPEN
    formats = set(Image.OPEN) - {"HDF5", "MPEG", "GRIB", "BUFR", "WMF", "EPS"}
    known = {ending for ending, kind in endings.items() if kind in formats}
    known |= {".npy"} if arrays else set()
    hits = (p for p in paths if p.suffix.lower() in known and not p.name.startswith("."))
    return sorted(filter(os.path.isfile, hits))
