"""Measure which maps show best what the network uses."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import paddle

from ...attribution.configured import ConfiguredMethod, configure_method
from ...core.checks import look_up
from ...core.config import as_dict
from ...core.errors import ConfigError, ImageError
from ...evaluate.faithfulness import Curve
from ...evaluate.measures import HIGH_IS_GOOD, MEASURES, MeasuredMap
from ...evaluate.truth import Truth, read_truth, truth_of
from ...models.class_names import parse_target
from ...models.classifier import Classifier, network_errors
from ...network.scores import logits_of, score_name
from ..config.schema import EvaluateConfig
from .pictures import (
    Say,
    as_function,
    begin_run,
    common_function,
    distinct_titles,
    pass_seconds,
)
from .results import plot_curves, save_csv, save_json


def report_methods(config: EvaluateConfig, say: Say, complain: Say) -> bool:
    """Measure each method on each picture. Return whether every picture could be read.

    Writes `evaluate/results.csv` (a line for each picture and method), `results.json` (the means,
    the curves and the config) and `curves.png`.
    """
    methods = [configure_method(method, "methods") for method in config.methods]
    measures = [look_up("measure", name, MEASURES) for name in config.measures]
    if not methods or not measures:
        raise ConfigError("methods and measures must each hold at least one name")
    by_function = common_function(methods, config.target) is not None
    truths = read_truth(config.truth) if config.truth else {}
    folder, classifier, pictures = begin_run(config, "evaluate", complain)
    class_of = _class_finder(config.target, classifier)
    named = dict(zip(distinct_titles(methods), (method.prepared(classifier) for method in methods)))
    rows: list[dict[str, Any]] = []
    curves: dict[str, dict[str, list[Curve]]] = {}
    done = 0
    for path, picture in pictures:
        truth = truth_of(path, truths)
        image = classifier.prepare([picture])
        with network_errors(classifier, tuple(image.shape[:1:-1])):
            asked = None if by_function else class_of(path, truth, image)
            seen = truth.seen(picture, classifier) if truth else None
            for title, one, passes in _maps(classifier, image, asked, named, seen, config):
                row: dict[str, Any] = {"file": path.name, "class": asked, "method": title}
                for measured in (measure(one) for measure in measures):
                    row.update(measured.numbers)
                    if measured.curve:
                        name = next(iter(measured.numbers))
                        curves.setdefault(name, {}).setdefault(title, []).append(measured.curve)
                rows.append({**row, "passes": passes})
        done += 1
        save_csv(folder / "results.csv", rows)  # so an interrupt loses no finished picture
    if not rows:
        raise ImageError("no image could be read")
    function = next(iter(named.values())).function
    height = score_name(function) if by_function else "probability"
    _report(folder, config, classifier, rows, list(named), curves, height, done, say)
    return done == pictures.count


def _maps(
    classifier: Classifier,
    image: paddle.Tensor,
    target: int | None,
    methods: Mapping[str, ConfiguredMethod],
    truth: np.ndarray | None,
    config: EvaluateConfig,
) -> Iterator[tuple[str, MeasuredMap, float]]:
    """Yield each method's title, its map of an image, and its time relative to a bare pass."""
    score = next(iter(methods.values())).function
    bare = pass_seconds(classifier, image, target, score or "logit")
    for title, method in methods.items():
        function = as_function(method)
        started = time.perf_counter()
        values = function(classifier.network, image, target)
        values.numpy()
        seconds = time.perf_counter() - started
        keys = (config.steps, config.samples, config.batch_size, config.seed)
        one = MeasuredMap(classifier.network, image, target, values, function, truth, *keys, score)
        yield title, one, seconds / bare


def _report(
    folder: Path,
    config: EvaluateConfig,
    classifier: Classifier,
    rows: Sequence[dict[str, Any]],
    titles: Sequence[str],
    curves: Mapping[str, Mapping[str, Sequence[Curve]]],
    height: str,
    images: int,
    say: Say,
) -> None:
    """Print the means, write them as JSON, and plot the curves, whose height is a score."""
    means = _means(rows, titles)
    for line in _table(means):
        say(line)
    drawn = {name: _mean_curves(each) for name, each in curves.items()}
    record = {
        "network": classifier.title,
        "images": images,
        "means": means,
        "curves": {
            name: {title: list(map(list, xy)) for title, xy in each.items()}
            for name, each in drawn.items()
        },
        "config": as_dict(config),
    }
    save_json(folder / "results.json", record)
    say(f"→ {folder / 'results.csv'}, {folder / 'results.json'}")
    labels = {"insertion": "share of pixels put in", "deletion": "share of pixels taken away"}
    panels = [(name, labels[name], height, each) for name, each in drawn.items()]
    plot_curves(folder / "curves.png", panels, say)


def _class_finder(
    target: str | int, classifier: Classifier
) -> Callable[[Path, Truth | None, paddle.Tensor], int]:
    """A function that returns the class to explain for an image.

    This is the labelled class, the predicted class, or the same class for all images.
    """
    labelled = target == "labelled"
    same = None if labelled else parse_target(target, classifier.labels)

    def class_of(path: Path, truth: Truth | None, image: paddle.Tensor) -> int:
        if labelled:
            if truth is None or truth.target is None:
                raise ConfigError(f"no class is given for {path.name}; use target=predicted")
            return truth.target
        if same is not None:
            return same
        with paddle.no_grad():
            return int(logits_of(classifier.network(image))[0].argmax())

    return class_of


def _means(
    rows: Sequence[Mapping[str, Any]], titles: Sequence[str]
) -> dict[str, dict[str, float | None]]:
    """For each method, the mean of each number over the pictures that have it.

    For `passes` it is the median.
    """
    keys = [key for key in rows[0] if key not in ("file", "class", "method")]
    means: dict[str, dict[str, float | None]] = {}
    for title in titles:
        of_method = [row for row in rows if row["method"] == title]
        means[title] = {}
        for key in keys:
            values = [row[key] for row in of_method if not np.isnan(row[key])]
            average = statistics.median if key == "passes" else statistics.fmean
            means[title][key] = average(values) if values else None
    return means


def _table(means: Mapping[str, Mapping[str, float | None]]) -> Iterator[str]:
    keys = list(next(iter(means.values())))
    wide = max(len(title) for title in means) + 2
    yield " " * wide + "".join(f"{key:>17}" for key in keys)
    for title, numbers in means.items():
        cells = (f"{'-' if value is None else f'{value:.3g}':>17}" for value in numbers.values())
        yield f"{title:{wide}}" + "".join(cells)
    better = ", ".join(key for key in keys if key in HIGH_IS_GOOD)
    worse = ", ".join(key for key in keys if key not in HIGH_IS_GOOD)
    yield (f"high is good: {better}; " if better else "") + f"low is good: {worse}"


def _mean_curves(curves: Mapping[str, Sequence[Curve]]) -> dict[str, tuple[list, list]]:
    return {
        title: (each[0].shares.tolist(), np.mean([c.scores[0] for c in each], axis=0).tolist())
        for title, each in curves.items()
    }
