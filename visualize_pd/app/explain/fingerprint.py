"""What decides the figures of a run of method 1, and which figures of earlier runs still hold."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...attribution.configured import ConfiguredMethod
from ...attribution.configured_score import score_fingerprint
from ...core.errors import ImageError
from ...core.files import expand_home, is_pipe_or_device
from ...core.fingerprint import (
    Fingerprint,
    array_digest,
    as_text,
    changed,
    file_digest,
    from_text,
    value_digest,
)
from ...core.version import __version__
from ...models.classifier import Classifier
from ...models.fingerprint import network_fingerprint
from .. import drawing
from ..config.schema import ExplainConfig
from ..report.rows import Row
from .maps import TargetClasses
from .names import FIGURE, ResultPaths


def run_fingerprint(
    config: ExplainConfig,
    classifier: Classifier,
    methods: Sequence[ConfiguredMethod],
    wanted: TargetClasses,
) -> Fingerprint:
    """What decides the figures of a run, apart from the images themselves."""
    return {
        **network_fingerprint(classifier),
        "target": value_digest(wanted),
        "method": value_digest([bool(config.compare), *map(_plain, methods)]),
        "colormap": value_digest([config.colormap, config.common_scale]),
        "version": __version__,
    }


def _plain(method: ConfiguredMethod) -> list:
    def plain(value: Any) -> Any:
        if callable(value) and not hasattr(value, "numpy"):
            return score_fingerprint(value)
        return array_digest(value.numpy()) if hasattr(value, "numpy") else value

    options = {key: plain(value) for key, value in method.options.items()}
    return [method.name, options, method.reduction]


def names_taken(
    known: Mapping[str, Sequence[Row]], pictures: Sequence[Path], folder: Path
) -> dict[Path, str]:
    """The names that earlier runs have given to figures in `folder`, for each picture."""
    asked = {os.path.abspath(picture): picture for picture in pictures}
    figures = {file: Path(rows[0]["figure"]) for file, rows in known.items()}
    return {
        asked.get(file, Path(file)): figure.name[: -len(FIGURE)]
        for file, figure in figures.items()
        if figure.name.endswith(FIGURE) and os.path.isfile(folder / figure.name)
    }


def find_done(
    pictures: Sequence[Path],
    known: Mapping[str, Sequence[Row]],
    inputs: Fingerprint,
    paths: ResultPaths,
    with_arrays: bool,
) -> tuple[dict[Path, list[Row]], Counter[str]]:
    """The pictures whose figure holds, with its rows, and why the other figures do not.

    A figure holds if it and its rows were made of the same picture with the same settings.
    """
    done: dict[Path, list[Row]] = {}
    reasons: Counter[str] = Counter()
    for picture in pictures:
        figure, rows = paths.figure(picture), list(known.get(os.path.abspath(picture), []))
        if not rows or not os.path.isfile(figure):
            continue
        now = {"image": _digest_of(picture), **inputs}
        texts = {row["fingerprint"] for row in rows} | {drawing.read_comment(figure)}
        arrays = paths.arrays(picture) if with_arrays else []
        if texts == {as_text(now)} and all(map(os.path.isfile, arrays)):
            # The path may be written in another way than in the earlier run.
            same = {"file": str(picture), "figure": str(figure)}
            done[picture] = [{**row, **same} for row in rows]
            continue
        differs = {name for text in texts for name in changed(from_text(text), now)}
        if "" in texts:  # an earlier version has made it
            differs = {"version"}
        another = f"made with another {' and '.join(sorted(differs))}"
        reasons[another if differs else "its arrays are missing"] += 1
    return done, reasons


def _digest_of(picture: Path) -> str:
    try:
        path = expand_home(picture)
        if is_pipe_or_device(path):
            raise ImageError(f"{picture} is a pipe or a device")
        with open(path, "rb") as file:
            return file_digest(file)
    except (OSError, ValueError, ImageError):
        return ""
