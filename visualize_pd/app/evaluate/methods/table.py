"""Measure which maps show best what the network uses."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ....core.config import as_dict
from ....core.files import alone_in
from ....evaluate.comparison import Interval, bootstrap_interval
from ....evaluate.faithfulness import Curve
from ....evaluate.measures import HIGH_IS_GOOD
from ...config.schema import EvaluateConfig
from ..pictures import Say, begin_run
from ..results import plot_curves, save_csv, save_json
from .measuring import Run, configured, measure_pictures

NOT_NUMBERS = ("file", "class", "method")
Means = dict[str, dict[str, Interval | None]]
LABELS = {
    "insertion": "share of pixels put in",
    "contrast_insertion": "share of pixels put in",
    "deletion": "share of pixels taken away",
    "road_morf": "share of pixels taken away, the most relevant first",
    "road_lerf": "share of pixels taken away, the least relevant first",
}


def report_methods(config: EvaluateConfig, say: Say, complain: Say) -> bool:
    """Measure each method on each picture. Return whether every picture could be read.

    Writes `evaluate/results.csv` (a line for each picture and method), `summary.csv` (a line for
    each method: means with their confidence intervals), `results.json` (the means, the intervals,
    the curves and the config) and `curves.png`.
    """
    configured(config)
    folder, _, pictures = begin_run(config, "evaluate", complain)
    with alone_in(folder):
        run = measure_pictures(config, folder, pictures)
        means = _means(run.rows, run.titles)
        for line in _table(means):
            say(line)
        save_csv(run.folder / "summary.csv", list(_summary(means)))
        drawn = {name: _mean_curves(each) for name, each in run.curves.items()}
        record = {
            "network": run.classifier.title,
            "images": run.images,
            "means": _each(means, lambda number: number.value),
            "intervals": _each(means, lambda number: [number.low, number.high]),
            "curves": {
                name: {title: list(map(list, xy)) for title, xy in each.items()}
                for name, each in drawn.items()
            },
            "fingerprint": run.fingerprint,
            "config": as_dict(config),
        }
        save_json(run.folder / "results.json", record)
        files = (run.folder / name for name in ("results.csv", "summary.csv", "results.json"))
        say(f"→ {', '.join(map(str, files))}")
        panels = [(name, LABELS[name], _height(name, run), each) for name, each in drawn.items()]
        plot_curves(run.folder / "curves.png", panels, say)
    return run.images == run.asked


def _height(curve: str, run: Run) -> str:
    """What a curve shows."""
    return "difference of logits" if curve == "contrast_insertion" else run.height


def _means(rows: Sequence[Mapping[str, Any]], titles: Sequence[str]) -> Means:
    """For each method, the mean of each number over the pictures that have it.

    For `passes` it is the median.
    """
    keys = [key for key in rows[0] if key not in NOT_NUMBERS]
    means: Means = {}
    for title in titles:
        of_method = [row for row in rows if row["method"] == title]
        means[title] = {}
        for key in keys:
            values = [row[key] for row in of_method if not np.isnan(row[key])]
            average = "median" if key == "passes" else "mean"
            means[title][key] = bootstrap_interval(values, average=average) if values else None
    return means


def _each(means: Means, of: Callable[[Interval], Any]) -> dict[str, dict[str, Any]]:
    return {
        title: {key: None if number is None else of(number) for key, number in numbers.items()}
        for title, numbers in means.items()
    }


def _summary(means: Means) -> Iterator[dict[str, Any]]:
    """The rows of `summary.csv`. A number that does not exist is empty."""
    for title, numbers in means.items():
        row: dict[str, Any] = {"method": title}
        for key, number in numbers.items():
            value, low, high = number or ("", "", "")
            row.update({key: value, f"{key}_low": low, f"{key}_high": high})
        yield row


def _table(means: Means) -> Iterator[str]:
    """The means, with half the width of their intervals if there are several images."""
    keys = list(next(iter(means.values())))
    wide = max(len(title) for title in means) + 2
    yield " " * wide + "".join(f"{key:>20}" for key in keys)
    for title, numbers in means.items():
        yield f"{title:{wide}}" + "".join(f"{_cell(number):>20}" for number in numbers.values())
    better = ", ".join(key for key in keys if key in HIGH_IS_GOOD)
    worse = ", ".join(key for key in keys if key not in HIGH_IS_GOOD)
    yield (f"high is good: {better}; " if better else "") + f"low is good: {worse}"


def _cell(number: Interval | None) -> str:
    if number is None:
        return "-"
    half = (number.high - number.low) / 2
    return f"{number.value:.3g}" + (f" ±{half:.2g}" if half else "")


def _mean_curves(curves: Mapping[str, Sequence[Curve]]) -> dict[str, tuple[list, list]]:
    return {
        title: (each[0].shares.tolist(), np.mean([c.scores[0] for c in each], axis=0).tolist())
        for title, each in curves.items()
    }
