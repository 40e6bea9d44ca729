"""The table of measures: the numbers that each measure gives for a single map."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import paddle

from ..network.scores import Score
from .faithfulness import (
    Curve,
    average_drop,
    average_gain,
    completeness,
    contrast_insertion,
    deletion,
    infidelity,
    insertion,
    max_sensitivity,
    road,
    sensitivity_n,
)
from .localisation import pointing_game, relevance_mass_accuracy, relevance_rank_accuracy
from .sanity import random_logit
from .simplicity import complexity, sparseness


class MeasuredMap(NamedTuple):
    """One method's map of one image `[1, C, H, W]`, and what the measures need to know about it.

    `truth` is the mask of the object, if it is known. `method(network, images, targets)` makes the
    map again. `score` and `baseline` are those of the method; a baseline that is random or not of
    one image is None. If the score is a function, `target` is None. `others` are the classes of
    `contrast_insertion`. The other fields are keys of `evaluate methods`.
    """

    network: paddle.nn.Layer
    image: paddle.Tensor
    target: int | None
    map: paddle.Tensor
    method: Callable[..., paddle.Tensor]
    truth: np.ndarray | None = None
    steps: int = 50
    samples: int = 50
    batch_size: int = 32
    seed: int = 0
    score: Score = "logit"
    baseline: str | paddle.Tensor | None = "zero"
    others: str | Sequence[int] = "top3"

    @property
    def options(self) -> dict[str, Any]:
        """The score as an option, if it is not that of a class."""
        return {"score": self.score} if callable(self.score) else {}


class Measured(NamedTuple):
    """Numbers by their names, and the curves from which they come, if there are any."""

    numbers: dict[str, float]
    curves: Mapping[str, Curve] = MappingProxyType({})


def _insertion(one: MeasuredMap) -> Measured:
    options: dict[str, Any] = {"steps": one.steps, "batch_size": one.batch_size, **one.options}
    curve = insertion(one.network, one.image, one.map, one.target, **options)
    return _with_area("insertion", curve)


def _deletion(one: MeasuredMap) -> Measured:
    options: dict[str, Any] = {"steps": one.steps, "batch_size": one.batch_size, **one.options}
    curve = deletion(one.network, one.image, one.map, one.target, **options)
    return _with_area("deletion", curve)


def _contrast_insertion(one: MeasuredMap) -> Measured:
    options: dict[str, Any] = {"steps": one.steps, "batch_size": one.batch_size}
    curve = contrast_insertion(
        one.network, one.image, one.map, one.target, others=one.others, **options
    )
    return _with_area("contrast_insertion", curve)


def _with_area(name: str, curve: Curve) -> Measured:
    area = float(curve.areas[0])
    return Measured({name: area}, {} if np.isnan(area) else {name: curve})


def _road(one: MeasuredMap) -> Measured:
    options: dict[str, Any] = {"seed": one.seed, "batch_size": one.batch_size, **one.options}
    curves = {
        f"road_{order}": road(one.network, one.image, one.map, one.target, order=order, **options)
        for order in ("morf", "lerf")
    }
    return Measured({name: float(curve.scores.mean()) for name, curve in curves.items()}, curves)


def _pointing_game(one: MeasuredMap) -> Measured:
    if one.truth is None or not one.truth.any():
        return Measured({"pointing_game": float("nan")})
    return Measured({"pointing_game": float(pointing_game(one.map.numpy(), [one.truth])[0])})


def _relevance(one: MeasuredMap) -> Measured:
    numbers = dict.fromkeys(("relevance_mass", "relevance_rank"), float("nan"))
    if one.truth is not None and one.truth.any():
        maps = one.map.numpy()
        numbers["relevance_mass"] = float(relevance_mass_accuracy(maps, [one.truth])[0])
        numbers["relevance_rank"] = float(relevance_rank_accuracy(maps, [one.truth])[0])
    return Measured(numbers)


def _average_drop(one: MeasuredMap) -> Measured:
    found = average_drop(one.network, one.image, one.map, one.target, **one.options)
    numbers = {"average_drop": float(found.drops[0]), "increase": float(found.increases[0])}
    return Measured(numbers)


def _average_gain(one: MeasuredMap) -> Measured:
    return Measured(
        {"average_gain": float(average_gain(one.network, one.image, one.map, one.target)[0])}
    )


def _infidelity(one: MeasuredMap) -> Measured:
    options: dict[str, Any] = {"samples": one.samples, "batch_size": one.batch_size, **one.options}
    found = infidelity(one.network, one.image, one.map, one.target, seed=one.seed, **options)
    return Measured({"infidelity": float(found[0])})


def _max_sensitivity(one: MeasuredMap) -> Measured:
    network, image, method = one.network, one.image, one.method
    found = max_sensitivity(network, image, method, one.target, seed=one.seed, **one.options)
    return Measured({"max_sensitivity": float(found[0])})


def _sensitivity_n(one: MeasuredMap) -> Measured:
    if one.baseline is None:
        return Measured({"sensitivity_n": float("nan")})
    keys: dict[str, Any] = {"samples": max(2, one.samples), "batch_size": one.batch_size}
    keys.update(seed=one.seed, score=one.score, baseline=one.baseline)
    found = sensitivity_n(one.network, one.image, one.map, one.target, **keys)
    return Measured({"sensitivity_n": float(found.mean())})


def _completeness(one: MeasuredMap) -> Measured:
    if one.baseline is None:
        return Measured({"completeness": float("nan")})
    keys: dict[str, Any] = {"score": one.score, "baseline": one.baseline}
    gaps = completeness(one.network, one.image, one.map, one.target, **keys)
    return Measured({"completeness": abs(float(gaps[0]))})


def _random_logit(one: MeasuredMap) -> Measured:
    found = random_logit(one.network, one.image, one.method, one.target, seed=one.seed)
    return Measured({"random_logit": float(found.ssim[0])})


def _sparseness(one: MeasuredMap) -> Measured:
    return Measured({"sparseness": float(sparseness(one.map)[0])})


def _complexity(one: MeasuredMap) -> Measured:
    return Measured({"complexity": float(complexity(one.map)[0])})


# The keys are the names used in YAML. A new measure needs a function, a line here and a test.
MEASURES: dict[str, Callable[[MeasuredMap], Measured]] = {
    "insertion": _insertion,
    "deletion": _deletion,
    "contrast_insertion": _contrast_insertion,
    "road": _road,
    "pointing_game": _pointing_game,
    "relevance": _relevance,
    "average_drop": _average_drop,
    "average_gain": _average_gain,
    "infidelity": _infidelity,
    "sensitivity_n": _sensitivity_n,
    "completeness": _completeness,
    "max_sensitivity": _max_sensitivity,
    "random_logit": _random_logit,
    "sparseness": _sparseness,
    "complexity": _complexity,
}
# Those that ask for a class, and so cannot judge the map of a score that is a function.
OF_A_CLASS = ("contrast_insertion", "average_gain", "random_logit")
HIGH_IS_GOOD = (
    "insertion",
    "contrast_insertion",
    "road_lerf",
    "pointing_game",
    "relevance_mass",
    "relevance_rank",
    "increase",
    "average_gain",
    "sensitivity_n",
    "sparseness",
)
