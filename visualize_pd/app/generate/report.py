"""The report page of a run of method 2."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...core.config import as_dict
from ..config.schema import GenerateConfig
from ..report.page import Animation, Figures, Percentage, Picture, Table, save_page
from .task import Task

LARGEST, THUMBNAIL = (1200, 4000), (128, 128)


def save_report(
    folder: Path,
    config: GenerateConfig,
    task: Task,
    summary: str,
    rows: Sequence[dict[str, Any]],
    animation: Path,
) -> Path:
    """Write a page with the animation, the final picture and all frames with their scores."""
    picture = folder / f"{task.name}.png"
    items: list[tuple[str, Picture | Animation]] = [
        ("Animation", Animation(animation)),
        ("Final picture", Picture(picture, LARGEST, picture.name)),
    ]
    frames = [
        [
            Picture(folder / row["file"], THUMBNAIL, row["file"]),
            row["iteration"],
            *_numbers(task, row).values(),
        ]
        for row in rows
    ]
    titles = task.titles
    return save_page(
        folder / "index.html",
        ", ".join(titles) if len(titles) < 5 else f"{len(titles)} images",
        summary,
        {
            "Pictures": Figures(items),
            "Frames": Table(["", "iteration", *_numbers(task, rows[-1])], frames),
        },
        as_dict(config),
    )


def save_drawing_report(config: GenerateConfig, note: str, path: Path) -> Path:
    """Write a page with a drawing that was made without an ascent."""
    figures = Figures([(note, Picture(path, LARGEST, path.name))])
    page = path.with_name("index.html")
    return save_page(page, note, "", {"Weights": figures}, as_dict(config))


def _numbers(task: Task, row: dict[str, Any]) -> dict[str, float]:
    """The scores of a frame, for each of its images."""
    scores = {}
    for key, values in row.items():
        kind = Percentage if key.startswith("probability") else float
        if isinstance(values, list):
            named = zip(task.titles, values)
            scores.update({f"{key} of {title}": kind(value) for title, value in named})
        elif isinstance(values, float):
            scores[key] = kind(values)
    return scores
