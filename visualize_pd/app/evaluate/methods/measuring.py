"""Measure the maps of several methods on each picture."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import paddle

from ....attribution.baselines import BASELINES
from ....attribution.configured import ConfiguredMethod, configure_method
from ....attribution.configured_score import check_score, configured_score
from ....attribution.methods import METHODS
from ....core.checks import look_up, options_of
from ....core.errors import ConfigError, ImageError
from ....core.files import remove_files
from ....core.fingerprint import Fingerprint
from ....evaluate.faithfulness import Curve
from ....evaluate.measures import MEASURES, OF_A_CLASS, MeasuredMap
from ....evaluate.truth import Truth, check_names, read_truth, truth_of
from ....models.class_names import parse_target
from ....models.classifier import Classifier, network_errors
from ....network.scores import Contrast, score_name
from ...config.schema import EvaluateConfig
from ..pictures import (
    Pictures,
    as_function,
    checked_logits,
    common_function,
    distinct_titles,
    pass_seconds,
)
from ..results import save_csv

RESULTS = ("summary.csv", "results.json", "curves.png", "comparison.csv", "comparison.json")


class Run(NamedTuple):
    """All numbers of a run: a row for each picture and method, and the curves of each method.

    `height` is the name of the score that the curves show. `images` of `asked` pictures were read.
    `fingerprint` is that of the network and the pictures.
    """

    folder: Path
    classifier: Classifier
    titles: list[str]
    rows: list[dict[str, Any]]
    curves: dict[str, dict[str, list[Curve]]]
    height: str
    images: int
    asked: int
    fingerprint: Fingerprint


def configured(config: EvaluateConfig) -> list[ConfiguredMethod]:
    """The methods of a config. Raises a `VisualizeError` for what can be refused at once."""
    methods = [configure_method(method, "methods") for method in config.methods]
    for name in config.measures:
        look_up("measure", name, MEASURES)
    if not methods or not config.measures:
        raise ConfigError("methods and measures must each hold at least one name")
    check_score({"contrast": config.contrast}, "evaluate")
    by_function = common_function(methods, config.target) is not None
    unfit = [name for name in config.measures if name in OF_A_CLASS]
    if by_function and unfit:
        raise ConfigError(
            f"{unfit[0]} asks for a class, so it cannot judge maps of a score that is a function; "
            "leave it out of measures"
        )
    return methods


def measure_pictures(
    config: EvaluateConfig, folder: Path, pictures: Pictures, least: int = 1
) -> Run:
    """Measure each method on each picture. `results.csv` is written after each of them.

    Raises `ImageError` for fewer than `least` pictures.
    """
    methods, classifier = configured(config), pictures.classifier
    truths = read_truth(config.truth) if config.truth else {}
    check_names(pictures.paths, truths)
    check_enough(pictures.count, least)
    class_of = _class_finder(config.target, classifier)
    named = dict(zip(distinct_titles(methods), (method.prepared(classifier) for method in methods)))
    _check_other_classes(config, named.values())
    function = next(iter(named.values())).function
    others = configured_score({"contrast": config.contrast}, classifier)
    assert isinstance(others, Contrast)
    rows: list[dict[str, Any]] = []
    curves: dict[str, dict[str, list[Curve]]] = {}
    done = 0
    for path, picture in pictures:
        truth, file = truth_of(path, truths), pictures.titles[path]
        image = classifier.prepare([picture])
        with network_errors(classifier, tuple(image.shape[:1:-1])):
            asked = None
            if function is None:
                asked = class_of(path, truth, checked_logits(classifier, image))
            seen = truth.seen(picture, classifier) if truth else None
            for title, one, passes in _maps(classifier, image, asked, named, seen, config, others):
                row: dict[str, Any] = {"file": file, "class": asked, "method": title}
                if float(one.map.max()) == float(one.map.min()):
                    pictures.complain(f"note: {title} gives {file} the same value everywhere")
                for measured in (MEASURES[measure](one) for measure in config.measures):
                    row.update(measured.numbers)
                    for curve_name, curve in measured.curves.items():
                        curves.setdefault(curve_name, {}).setdefault(title, []).append(curve)
                rows.append({**row, "passes": passes})
        done += 1
        if done == 1:
            remove_files(folder, [folder / name for name in RESULTS])  # of an earlier run
        save_csv(folder / "results.csv", rows)  # so an interrupt loses no finished picture
    if not rows:
        raise ImageError("no image could be read")
    check_enough(done, least)
    height = "probability" if function is None else score_name(function)
    about = done, pictures.count, pictures.fingerprint()
    return Run(folder, classifier, list(named), rows, curves, height, *about)


def check_enough(count: int, least: int) -> None:
    """Raise `ImageError` for too few pictures."""
    if count < least:
        raise ImageError(
            f"a comparison needs at least {least} images, not {count}; name more in images"
        )


def _check_other_classes(config: EvaluateConfig, methods: Iterable[ConfiguredMethod]) -> None:
    """Refuse a random other class where it might be one that a contrast names."""
    named = any(method.contrast and method.contrast.others for method in methods)
    if named and "random_logit" in config.measures:
        raise ConfigError(
            "random_logit asks for random other classes, which a contrast with named classes may "
            "hold; use contrast: top3, or leave random_logit out of measures"
        )


def _setting(method: ConfiguredMethod, option: str, default: Any) -> Any:
    """The option of a method as it is used, or `default` if the method does not have it."""
    return {option: default, **options_of(METHODS[method.name]), **method.options}[option]


def _maps(
    classifier: Classifier,
    image: paddle.Tensor,
    target: int | None,
    methods: Mapping[str, ConfiguredMethod],
    truth: np.ndarray | None,
    config: EvaluateConfig,
    contrast: Contrast,
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
        baseline = _setting(method, "baseline", "zero")
        known = isinstance(baseline, paddle.Tensor) or baseline in BASELINES
        one = MeasuredMap(
            classifier.network,
            image,
            target,
            values,
            function,
            truth,
            *(config.steps, config.samples, config.batch_size, config.seed),
            score=_setting(method, "score", "logit"),
            baseline=baseline if known else None,
            others=contrast.others or f"top{contrast.top}",
        )
        yield title, one, seconds / bare


def _class_finder(
    target: str | int, classifier: Classifier
) -> Callable[[Path, Truth | None, paddle.Tensor], int]:
    """A function that returns the class to explain for an image with these logits.

    This is the labelled class, the predicted class, or the same class for all images.
    """
    labelled = target == "labelled"
    same = None if labelled else parse_target(target, classifier.labels)

    def class_of(path: Path, truth: Truth | None, logits: paddle.Tensor) -> int:
        if labelled:
            if truth is None or truth.target is None:
                raise ConfigError(f"no class is given for {path.name}; use target=predicted")
            return truth.target
        return int(logits[0].argmax()) if same is None else same

    return class_of
