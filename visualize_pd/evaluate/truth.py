"""Read the known places of objects: boxes from a CSV or JSON file, or mask files."""

from __future__ import annotations

import csv
import io
import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from ..core.errors import ConfigError
from ..core.files import expand_home, is_pipe_or_device
from ..core.images import Photograph, load_mask, size_of
from ..models.classifier import Classifier
from .localisation import Box

COLUMNS = ("file", "x0", "y0", "x1", "y1")


class Truth(NamedTuple):
    """What is known of one picture: the class, and the boxes or the mask file of its object."""

    target: int | None
    boxes: tuple[Box, ...] = ()
    mask: Path | None = None

    def on(self, picture: Photograph) -> Image.Image:
        """A mask of the picture's size, 255 on the object."""
        if self.mask:
            return load_mask(self.mask, size_of(picture))
        drawn = Image.new("L", size_of(picture))
        for x0, y0, x1, y1 in self.boxes:
            inside = (max(0, x0), max(0, y0), min(x1, drawn.width), min(y1, drawn.height))
            if inside[0] < inside[2] and inside[1] < inside[3]:
                drawn.paste(255, inside)
        return drawn

    def seen(self, picture: Photograph, classifier: Classifier) -> np.ndarray:
        """A mask of the image that the network sees, `[H, W]` bools, true on the object."""
        return classifier.seen_mask(self.on(picture))


def read_truth(source: str | Path) -> dict[str, Truth]:
    """The known objects of pictures, by the names of the picture files.

    `source` is one of these:

    - a `.csv` with the columns file, x0, y0, x1, y1 and perhaps class. The box is in pixels, and x1
      and y1 are just outside it. Several lines for one file are several boxes;
    - a `.json` with a list of such rows;
    - a folder of masks, `name.png` for `name.jpg`. The object is where alpha (without alpha:
      the grey value) is over a half.

    Raises `ConfigError` for anything else.
    """
    source = Path(expand_home(source))
    if os.path.isdir(source):
        masks = {path.stem: Truth(None, mask=path) for path in sorted(source.glob("*.png"))}
        if not masks:
            raise ConfigError(f"the folder {source} holds no masks (.png)")
        return masks
    if is_pipe_or_device(source):
        raise ConfigError(f"{source} is a pipe or a device, not a file of boxes")
    try:
        text = source.read_text(encoding="utf-8-sig")
        rows = json.loads(text) if source.suffix.lower() == ".json" else _table(text)
    except FileNotFoundError:
        raise ConfigError(f"no such file of boxes: {source}") from None
    except (OSError, ValueError, RecursionError, csv.Error) as error:
        raise ConfigError(f"cannot read the boxes in {source}: {error}") from error
    if not isinstance(rows, list) or not rows:
        raise ConfigError(f"{source} must hold a list of boxes")
    found: dict[str, Truth] = {}
    for number, row in enumerate(rows, 1):
        name, target, box = _entry(row, f"{source}, box {number}")
        before = found.get(name, Truth(target))
        if before.target != target:
            raise ConfigError(f"{source} gives {name} two classes; a picture can have only one")
        found[name] = before._replace(boxes=(*before.boxes, box))
    return found


def truth_of(path: Path, known: dict[str, Truth]) -> Truth | None:
    """What is known of a picture, by its file name, or for masks by the name without the ending."""
    return known.get(path.name) or known.get(path.stem)


def check_names(paths: Sequence[Path], known: Mapping[str, Truth]) -> None:
    """Raise `ConfigError` if what is known of one picture would be taken for several of them."""
    names = (path.name if path.name in known else path.stem for path in paths)
    for name, count in Counter(names).items():
        if count > 1 and name in known:
            raise ConfigError(
                f"truth has the object of one picture {name}, but {count} of the pictures have "
                "this name; give them different names"
            )


def _table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def _entry(row: object, where: str) -> tuple[str, int | None, Box]:
    if not isinstance(row, dict) or any(row.get(key) in (None, "") for key in COLUMNS):
        raise ConfigError(f"{where} lacks one of {', '.join(COLUMNS)}")
    try:
        box = Box(*(round(float(row[key])) for key in COLUMNS[1:]))
        target = None if row.get("class") in (None, "") else row["class"]
        if isinstance(target, (bool, float)):
            raise TypeError
        target = None if target is None else int(target)
    except (TypeError, ValueError, OverflowError):
        raise ConfigError(
            f"{where} has a value that is no number, or a class that is no whole number"
        ) from None
    if (target or 0) < 0:
        raise ConfigError(f"{where}: class must be an index, not {target}")
    if box.x0 >= box.x1 or box.y0 >= box.y1:
        raise ConfigError(f"{where} is empty: {list(box)}; x1 must be over x0, and y1 over y0")
    return str(row["file"]), target, box
