"""Write blind pairs of pictures, and count the answers that a person gives."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ...core.errors import ConfigError, OutputError
from ...core.files import expand_home, is_pipe_or_device
from ...core.images import load_image
from ...core.text import read_cell
from ...evaluate.generated import QUESTIONS, Pair, lay_out, preferences
from .. import drawing
from .pictures import Say
from .results import save_csv, save_json

ANSWERS, KEY = "answers.csv", "key.json"


def write_pairs(folders: Sequence[Path], output: Path, seed: int, say: Say) -> None:
    """Lay the pictures of two folders side by side, in random order and without names.

    The pictures are those of `evaluate transfer`: `130.png` is of class 130. Writes into `output`
    the pictures of the pairs, `answers.csv` to be filled in, and `key.json`. Raises `ConfigError`
    for a folder that is missing, and if the folders have no class in common. Raises `OutputError`
    if `output` holds answers already.
    """
    first, second = (Path(expand_home(folder)) for folder in folders)
    found = [_pictures(first), _pictures(second)]
    if os.path.samefile(first, second):
        raise ConfigError(f"{first} and {second} are the same folder; name two")
    classes = sorted(found[0].keys() & found[1].keys())
    if not classes:
        raise ConfigError(f"{first} and {second} have no pictures of the same class")
    output = Path(expand_home(output))
    if os.path.exists(output / ANSWERS):
        raise OutputError(f"{output} holds answers already; choose another folder: --output DIR")
    names = _class_names(first)
    pairs = lay_out(classes, seed)
    for pair in pairs:
        sides = [load_image(found[number][pair.target]) for number in (pair.left, 1 - pair.left)]
        name = names.get(pair.target, f"class {pair.target}")
        drawing.save_picture(output / f"{pair.name}.png", _side_by_side(sides, name))
    save_json(output / KEY, _key(pairs, [str(first), str(second)], seed))
    save_csv(output / ANSWERS, [{"pair": p.name, **dict.fromkeys(QUESTIONS, "")} for p in pairs])
    say(f"pairs: {len(pairs)} → {output}")
    say(f"write left or right into {output / ANSWERS}; do not open {KEY} before")


def score_pairs(folder: Path, say: Say) -> None:
    """Print how often each folder won, for each question, with the p-value of the sign test.

    Raises `ConfigError` if the answers or the key are missing, damaged or incomplete.
    """
    folder = Path(expand_home(folder))
    folders, pairs = _read_key(folder / KEY)
    found = preferences(pairs, _read_answers(folder / ANSWERS))
    for question, (first, second, p) in found.items():
        say(f"{question.replace('_', ' ')}, of {len(pairs)}:")
        say(f"  {first:>4}  {folders[0]}")
        say(f"  {second:>4}  {folders[1]}")
        say(f"  p = {p:.3g} (sign test, two-sided)")


def _pictures(folder: Path) -> dict[int, Path]:
    """The pictures in a folder by their class: the files whose name is a number."""
    if not os.path.isdir(folder):
        raise ConfigError(f"no such folder of pictures: {folder}")
    named = {path: re.fullmatch(r"[0-9]{1,18}", path.stem) for path in folder.glob("*.png")}
    return {int(path.stem): path for path, number in named.items() if number}


def _class_names(folder: Path) -> dict[int, str]:
    """The names of the classes in `classes.csv`. Without such a file there are none."""
    try:
        rows = _rows(folder / "classes.csv", ("class", "name"))
        return {int(row["class"]): read_cell(row["name"]) for row in rows}
    except (ConfigError, ValueError):
        return {}


def _side_by_side(pictures: Sequence[Image.Image], name: str) -> Image.Image:
    """Two pictures of the same size. The smaller one is enlarged."""
    size = max((picture.size for picture in pictures), key=lambda size: size[0] * size[1])
    panels = []
    for title, picture in zip(("left", "right"), pictures):
        if picture.size != size:
            picture = picture.resize(size, Image.Resampling.LANCZOS)
        panels.append((title, np.asarray(picture)))
    return drawing.figure([("", panels)], name, smooth=2)


def _key(pairs: Sequence[Pair], folders: Sequence[str], seed: int) -> dict[str, Any]:
    """Which picture is whose, for `key.json`."""
    entries = [
        {
            "pair": pair.name,
            "class": pair.target,
            "left": folders[pair.left],
            "right": folders[1 - pair.left],
        }
        for pair in pairs
    ]
    return {"folders": list(folders), "seed": seed, "pairs": entries}


def _read_key(path: Path) -> tuple[list[str], list[Pair]]:
    """The two folders and the pairs in `key.json`."""
    try:
        key = json.loads(_text(path, "key"))
        folders = [str(folder) for folder in key["folders"]]
        pairs = [
            Pair(str(entry["pair"]), int(entry["class"]), folders.index(entry["left"]))
            for entry in key["pairs"]
        ]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ConfigError(f"{path} is not a key that evaluate pairs has written") from None
    if len(folders) != 2:
        raise ConfigError(f"{path} is not a key that evaluate pairs has written")
    return folders, pairs


def _read_answers(path: Path) -> dict[str, Mapping[str, str]]:
    rows = _rows(path, ("pair", *QUESTIONS))
    answers: dict[str, Mapping[str, str]] = {row["pair"]: row for row in rows}
    if len(answers) < len(rows):
        raise ConfigError(f"{path} has two lines for one pair")
    return answers


def _rows(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """The lines of a table that has these columns."""
    try:
        reader = csv.DictReader(io.StringIO(_text(path, "table"), newline=""))
        rows = [{key: row.get(key) or "" for key in columns} for row in reader]
        if not set(columns) <= set(reader.fieldnames or ()):
            raise ConfigError(f"{path} must have the columns {','.join(columns)}")
    except csv.Error as error:
        raise ConfigError(f"cannot read {path}: {error}") from error
    return rows


def _text(path: Path, what: str) -> str:
    if is_pipe_or_device(path):
        raise ConfigError(f"{path} is a pipe or a device, not a {what}")
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(f"no such {what}: {path}") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not a text in UTF-8"
        raise ConfigError(f"cannot read {path}: {reason}") from error
