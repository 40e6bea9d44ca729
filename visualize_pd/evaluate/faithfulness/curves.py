"""The score while the pixels that a map marks are removed or added, step by step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import paddle

from ...attribution.baselines import make_baseline
from ...core.checks import check_count, look_up
from ...network.batching import MOST_VERSIONS, batches, repeat
from ...network.scores import Score, check_images, score_function
from ...network.scores.ready_made import contrast
from ..maps import Maps, pixel_order, planes_of

CURVES = {"insertion": "blurred", "deletion": "zero"}  # with their default baselines


class Curve(NamedTuple):
    """The scores while more and more pixels are changed.

    `shares`, `[steps + 1]`: the share of the pixels that were changed, from 0 to 1. `scores`,
    `[N, steps + 1]`: the score of each image after that. The shares of `road` are its own.
    """

    shares: np.ndarray
    scores: np.ndarray

    @property
    def areas(self) -> np.ndarray:
        """The area under each image's curve, `[N]`, by the trapezoid rule."""
        heights = (self.scores[:, 1:] + self.scores[:, :-1]) / 2
        return (heights * np.diff(self.shares)).sum(axis=1)


class CurvePart(NamedTuple):
    """Some points of the curve of one image: shares `[k]` and scores `[k]`.

    `image`, `[C, H, W]`, is the image at the last of them.
    """

    shares: np.ndarray
    scores: np.ndarray
    image: np.ndarray


def deletion(
    network: paddle.nn.Layer,
    images: paddle.Tensor,
    maps: Maps,
    targets: Any = None,
    *,
    steps: int = 100,
    baseline: str | paddle.Tensor = "zero",
    score: Score = "probability",
    batch_size: int = 32,
) -> Curve:
    """The score while the most important pixels are removed (RISE, Petsiuk et al. 2018, 4.1).

    The smaller the area under the curve, the better the map. `maps`: `[N, C, H, W]`, summed over
    channels. The pixels with the largest sums are changed first, an equal share of them in each of
    `steps`. Pixels with equal sums come in random order. A changed pixel takes its value from the
    `baseline`: zero (the training set's mean colour), mean, blurred, or a tensor. Raises a
    `VisualizeError` for maps of another size than the images, and for wrong options.
    """
    check_images(images)
    changed = make_baseline(baseline, images)
    return _curve(network, images, changed, images, maps, targets, steps, score, batch_size)


def insertion(
    network: paddle.nn.Layer,
    images: paddle.Tensor,
    maps: Maps,
    targets: Any = None,
    *,
    steps: int = 100,
    baseline: str | paddle.Tensor = "blurred",
    score: Score = "probability",
    batch_size: int = 32,
) -> Curve:
    """The score while the most important pixels are added to the `baseline` (Petsiuk et al. 2018).

    RISE, section 4.1. The larger the area under the curve, the better the map. Everything else is
    as for `deletion`.
    """
    check_images(images)
    start = make_baseline(baseline, images)
    return _curve(network, start, images, images, maps, targets, steps, score, batch_size)


def contrast_insertion(
    network: paddle.nn.Layer,
    images: paddle.Tensor,
    maps: Maps,
    targets: Any = None,
    *,
    others: str | int | Sequence[int] = "top3",
    steps: int = 100,
    baseline: str | paddle.Tensor = "blurred",
    batch_size: int = 32,
) -> Curve:
    """How soon the class wins against others while the most important pixels are added.

    As `insertion`, but the score is d = s_c − mean of s_o, which Finer-CAM (Zhang et al. 2025)
    explains. s are logits, and o are the `others`: class indices, or `top3` for the three most
    likely classes apart from c in each image. The curve is scaled to be 0 at the baseline and 1 at
    the image. A larger area is better. NaN for an image whose d is not over that of its baseline.
    Raises a `VisualizeError` as `insertion` does, and for others that are the class itself.
    """
    options: dict[str, Any] = {"steps": steps, "baseline": baseline, "batch_size": batch_size}
    curve = insertion(network, images, maps, targets, score=contrast(others), **options)
    start, end = curve.scores[:, :1], curve.scores[:, -1:]
    return Curve(curve.shares, (curve.scores - start) / np.where(end > start, end - start, np.nan))


def curve_parts(
    measure: str,
    network: paddle.nn.Layer,
    image: paddle.Tensor,
    one_map: Maps,
    target: int | None = None,
    *,
    steps: int = 50,
    score: Score = "probability",
    batch_size: int = 32,
) -> Iterator[CurvePart]:
    """The curve of one image `[1, C, H, W]`, as it is computed: `batch_size` steps at a time.

    `measure` is `insertion` or `deletion`. All parts together are the `Curve` of that function with
    its default baseline, and errors are the same. Between two parts the network is as it was.
    """
    check_images(image)
    other = make_baseline(look_up("measure", measure, CURVES), image)
    start, end = (other, image) if measure == "insertion" else (image, other)
    steps, turns = _turns(one_map, image, steps)
    with score_function(network) as score_of:
        chosen = score_of(image, target, score)[1]
    scoring = partial(score_function, network)
    yield from _parts(scoring, start, end, turns[0], steps, chosen, score, batch_size)


def _curve(
    network: paddle.nn.Layer,
    start: paddle.Tensor,
    end: paddle.Tensor,
    images: paddle.Tensor,
    maps: Maps,
    targets: Any,
    steps: int,
    score: Score,
    batch_size: int,
) -> Curve:
    """The score while pixels change from `start` to `end`, in the order of the maps.

    Without `targets` the class is the one that the network predicts for `images`.
    """
    steps, turns = _turns(maps, images, steps)
    curves = []
    with score_function(network) as score_of:
        chosen = score_of(images, targets, score)[1]
        scoring = partial(nullcontext, score_of)
        for n, turn in enumerate(turns):
            one = slice(n, n + 1)
            parts = _parts(
                scoring, start[one], end[one], turn, steps, chosen[one], score, batch_size
            )
            curves.append([np.concatenate(each) for each in zip(*(part[:2] for part in parts))])
    return Curve(curves[0][0], np.stack([scores for _, scores in curves]))


def _parts(
    scoring: Callable[[], AbstractContextManager],
    start: paddle.Tensor,
    end: paddle.Tensor,
    turns: np.ndarray,
    steps: int,
    chosen: paddle.Tensor,
    score: Score,
    batch_size: int,
) -> Iterator[CurvePart]:
    """The points of the curve of one image, in as many parts as passes of `batch_size` images."""
    before, after = start.numpy(), end.numpy()
    for part in batches(steps + 1, batch_size, "changing pixels"):
        changed = turns <= np.arange(part.start, part.stop).reshape(-1, 1, 1, 1)
        mixed = np.where(changed, after, before)
        with scoring() as score_of:
            each = repeat(chosen, len(mixed))
            scores = score_of(paddle.to_tensor(mixed), each, score)[0].numpy()
        yield CurvePart(changed.mean(axis=(1, 2, 3)), scores.astype("float64"), mixed[-1])


def _turns(maps: Maps, images: paddle.Tensor, steps: int) -> tuple[int, np.ndarray]:
    """The number of steps, and the step that changes each pixel, `[N, H, W]`."""
    check_count("steps", steps, 1, MOST_VERSIONS)
    planes = planes_of(maps, images)
    steps = min(steps, planes[0].size)
    return steps, np.stack([_step_of_each_pixel(plane, steps) for plane in planes])


def _step_of_each_pixel(plane: np.ndarray, steps: int) -> np.ndarray:
    """The number of the step that changes each pixel. The first step is 1."""
    turns = np.empty(plane.size, dtype="int64")
    turns[pixel_order(plane)] = np.arange(plane.size) * steps // plane.size + 1
    return turns.reshape(plane.shape)
