"""The table of measures: the numbers that each measure gives for a single map."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import paddle

from .faithfulness import (
    Curve,
    average_drop,
    deletion,
    infidelity,
    insertion,
    max_sensitivity,
)
from .localisation import pointing_game


class MeasuredMap(NamedTuple):
    """One method's map of one image `[1, C, H, W]`, and what the measures need to know about it.

    `truth` is the mask of the object, if it is known. `method(network, images, targets)` makes the
    map again. `score` is a function if the map is not that of a class; then `target` is None. The
    other fields are keys of `evaluate methods`.
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
    score: Callable | None = None

    @property
    def options(self) -> dict[str, Any]:
        """The score as an option, if it is not that of the measure."""
        return {} if self.score is None else {"score": self.score}


class Measured(NamedTuple):
    """Numbers by their names, and the curve from which they come, if there is one."""

    numbers: dict[str, float]
    curve: Curve | None = None


def _insertion(one: MeasuredMap) -> Measured:
    options: dict[str, Any] = {"steps": one.steps, "batch_size": one.batch_size, **one.options}
    curve = insertion(one.network, one.image, one.map, one.target, **options)
    return Measured({"insertion": float(curve.areas[0])}, curve)


def _deletion(one: MeasuredMap) -> Measured:
    options: dict[str, Any] = {"steps": one.steps, "batch_size": one.batch_size, **one.options}
    curve = deletion(one.network, one.image, one.map, one.target, **options)
    return Measured({"deletion": float(curve.areas[0])}, curve)


def _pointing_game(one: MeasuredMap) -> Measured:
    if one.truth is None or not one.truth.any():
        return Measured({"pointing_game": float("nan")})
    return Measured({"pointing_game": float(pointing_game(one.map.numpy(), [one.truth])[0])})


def _average_drop(one: MeasuredMap) -> Measured:
    found = average_drop(one.network, one.image, one.map, one.target, **one.options)
    numbers = {"average_drop": float(found.drops[0]), "increase": float(found.increases[0])}
    return Measured(numbers)


def _infidelity(one: MeasuredMap) -> Measured:
    options: dict[str, Any] = {"samples": one.samples, "batch_size": one.batch_size, **one.options}
    found = infidelity(one.network, one.image, one.map, one.target, seed=one.seed, **options)
    return Measured({"infidelity": float(found[0])})


def _max_sensitivity(one: MeasuredMap) -> Measured:
    network, image, method = one.network, one.image, one.method
    found = max_sensitivity(network, image, method, one.target, seed=one.seed, **one.options)
    return Measured({"max_sensitivity": float(found[0])})


# The keys are the names used in YAML. A new measure needs a function, a line here and a test.
MEASURES: dict[str, Callable[[MeasuredMap], Measured]] = {
    "insertion": _insertion,
    "deletion": _deletion,
    "pointing_game": _pointing_game,
    "average_drop": _average_drop,
    "infidelity": _infidelity,
    "max_sensitivity": _max_sensitivity,
}
HIGH_IS_GOOD = ("insertion", "pointing_game", "increase")
