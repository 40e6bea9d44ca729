"""Insertion and deletion curves of several maps, point by point."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import paddle

from ....evaluate.faithfulness.curves import CURVES, Curve, curve_parts
from ....models.classifier import Classifier, network_errors

STEPS = 50  # as the default of `evaluate methods`
AT_ONCE = 6  # points between two drawings
FIRST = 0.25  # the largest share of the pixels that count as the most important ones
Key = tuple[str, str]  # the title of a map, and the measure


class Drawn(NamedTuple):
    """The curves so far, by the titles of the maps and the measures.

    `picture`, `[H, W, 3]` uint8, is the image at the last point of the curve `at`. `done` is the
    share of all points. `firsts` are images that hold the most important pixels of each map, with
    the share of these pixels, by the titles.
    """

    curves: dict[Key, Curve]
    picture: np.ndarray
    at: Key
    done: float
    firsts: dict[str, tuple[float, np.ndarray]]

    def area(self, title: str, measure: str) -> float | None:
        """The area under a curve that is complete. None before that."""
        curve = self.curves.get((title, measure))
        complete = curve is not None and curve.shares[-1] == 1
        return float(curve.areas[0]) if curve is not None and complete else None


def live_curves(
    classifier: Classifier,
    image: paddle.Tensor,
    maps: Sequence[tuple[str, Any]],
    target: int | None,
    steps: int = STEPS,
    score: Any = "probability",
) -> Iterator[Drawn]:
    """Draw the curves of maps `(title, [1, C, H, W])` of one image `[1, C, H, W]`.

    The numbers are those of `evaluate methods`, with the same steps, up to rounding.
    """
    curves: dict[Key, Curve] = {}
    firsts: dict[str, tuple[float, np.ndarray]] = {}
    tasks = [(title, one, measure) for measure in CURVES for title, one in maps]
    for number, (title, one, measure) in enumerate(tasks):
        key = title, measure
        with network_errors(classifier, tuple(image.shape[:1:-1])):
            for part in curve_parts(
                measure,
                classifier.network,
                image,
                one,
                target,
                steps=steps,
                score=score,
                batch_size=AT_ONCE,
            ):
                before = curves.get(key, Curve(np.empty(0), np.empty((1, 0))))
                curves[key] = Curve(
                    np.concatenate([before.shares, part.shares]),
                    np.concatenate([before.scores, part.scores[None]], axis=1),
                )
                picture = classifier.to_pixels(paddle.to_tensor(part.image[None]))[0]
                done = (number + float(part.shares[-1])) / len(tasks)
                share = float(part.shares[-1])
                if measure == "insertion" and (title not in firsts or share <= FIRST):
                    firsts[title] = share, picture
                yield Drawn(dict(curves), picture, key, done, dict(firsts))
