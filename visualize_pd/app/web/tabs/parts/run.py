"""A run that makes an image: its image so far, and its curves."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...live.generation import SUFFIX, Folder, Made, Step
from ...texts import Pair, text
from . import charts
from .pictures import uri

DOING: Pair = ("{}: step {} of {}", "{}：第 {} 步，共 {} 步")
STOPPED: Pair = ("{}: stopped at step {}", "{}：在第 {} 步停止")
DONE: Pair = ("{}: all {} steps", "{}：共 {} 步，已完成")
FILM: Pair = ("how it was made", "生成过程")
SCORE: Pair = ("Score", "得分")
PROBABILITY: Pair = ("Probability", "概率")
AT_STEP: Pair = ("step", "步")


@dataclass
class Running:
    """The run of one person: what it makes, how far it has come, and its folder.

    `prepared` tells that its files are on the page.
    """

    values: dict[str, Any]
    what: Pair
    folder: Folder
    stop: threading.Event = field(default_factory=threading.Event)
    at: Step | None = None
    made: Made | None = None
    prepared: bool = False


def run_html(run: Running, language: str) -> str:
    """The image and its curves."""
    if run.at is None:
        return ""
    what, at = text(run.what, language), run.at
    if run.made is None:
        caption = text(DOING, language).format(what, at.iteration, at.last)
        shown = charts.figure(at.sheet, caption) + charts.progress(at.iteration / at.last, caption)
    else:
        pair = DONE if run.made.complete else STOPPED
        caption = text(pair, language).format(what, at.iteration)
        film = (run.made.folder / f"{run.made.name}{SUFFIX}").read_bytes()
        shown = charts.figure(at.sheet, caption)
        shown += charts.figure(uri(film, "image/gif"), text(FILM, language), "film")
    return f'<div class="making"><div>{shown}</div><div>{_curves(at, language)}</div></div>'


def _curves(at: Step, language: str) -> str:
    found = []
    for key, pair, limits in (("score", SCORE, None), ("probability", PROBABILITY, (0.0, 1.0))):
        if key in at.rows[-1]:
            steps = [row["iteration"] for row in at.rows]
            line = charts.Line(
                text(pair, language), steps, [float(np.mean(row[key])) for row in at.rows]
            )
            found.append(charts.chart([line], line.name, text(AT_STEP, language), at.last, limits))
    return "".join(found)
