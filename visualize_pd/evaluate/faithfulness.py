"""Does a map show what the network uses? Each measure changes the image and compares."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, NamedTuple, Union

import numpy as np
import paddle

from ..attribution.baselines import make_baseline
from ..core.checks import check_count, look_up
from ..core.errors import ConfigError, ImageError
from ..network.batching import MOST_VERSIONS, batches, repeat
from ..network.scores import Score, check_images, score_function, score_name

Maps = Union[paddle.Tensor, np.ndarray]
CURVES = {"insertion": "blurred", "deletion": "zero"}  # with their default baselines


class Curve(NamedTuple):
    """The scores while more and more pixels are changed.

    `shares`, `[steps + 1]`: the share of the pixels that were changed, from 0 to 1. `scores`,
    `[N, steps + 1]`: the score of each image after that.
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
    look_up("measure", measure, CURVES)
    other = make_baseline(CURVES[measure], image)
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
            curves.append(
                [np.concatenate(numbers) for numbers in zip(*(part[:2] for part in parts))]
            )
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
    planes = _planes(maps, images)
    steps = min(steps, planes[0].size)
    return steps, np.stack([_step_of_each_pixel(plane, steps) for plane in planes])


def _step_of_each_pixel(plane: np.ndarray, steps: int) -> np.ndarray:
    """The number of the step that changes each pixel. The first step is 1."""
    shuffled = np.random.default_rng(0).permutation(plane.size)
    order = shuffled[np.argsort(-plane.ravel()[shuffled], kind="stable")]
    turns = np.empty(plane.size, dtype="int64")
    turns[order] = np.arange(plane.size) * steps // plane.size + 1
    return turns.reshape(plane.shape)


class Drop(NamedTuple):
    """For each image, `[N]`: the share of the score that is lost, and whether the score rises."""

    drops: np.ndarray
    increases: np.ndarray


def average_drop(
    network: paddle.nn.Layer,
    images: paddle.Tensor,
    maps: Maps,
    targets: Any = None,
    *,
    score: Score = "probability",
    batch_size: int = 32,
) -> Drop:
    """Drop max(0, Y − O) / Y and increase O > Y (Grad-CAM++, Chattopadhay et al. 2018, 5.1).

    Y is the score of the image, and O is the score of the image × its map. The means over many
    images are the average drop and the increase in confidence. A good map has a small drop and a
    large increase. Maps are summed over channels, cut at 0 and divided by their maximum. Where the
    map is 0, the image gets the mean colour. Raises `ConfigError` if a score Y is not over 0.
    """
    check_images(images)
    planes = np.maximum(_planes(maps, images), 0)
    peaks = planes.max(axis=(1, 2), keepdims=True)
    shown = images.numpy() * (planes / np.where(peaks > 0, peaks, 1))[:, None]
    with score_function(network) as score_of:
        before, chosen = score_of(images, targets, score)
        after = np.concatenate(
            [
                score_of(paddle.to_tensor(shown[part]), chosen[part], score)[0].numpy()
                for part in batches(len(shown), batch_size, "masking")
            ]
        )
    before = before.numpy()
    if (before <= 0).any():
        raise ConfigError(
            f"a drop is a share of the score, but score={score_name(score)} is not over 0 for "
            "every image"
        )
    return Drop(np.maximum(0, before - after) / before, after > before)


def infidelity(
    network: paddle.nn.Layer,
    images: paddle.Tensor,
    maps: Maps,
    targets: Any = None,
    *,
    samples: int = 100,
    baseline: str | paddle.Tensor = "zero",
    scaled: bool = True,
    score: Score = "logit",
    seed: int = 0,
    batch_size: int = 32,
) -> np.ndarray:
    """Infidelity, `[N]`: how wrongly a map predicts drops of the score (Yeh et al. 2019, 2.1).

    E[(β Σ map over a square − (S_c(I) − S_c(I without the square)))²]; lower is better. The
    `samples` squares have random sizes and places, and get the values of the `baseline`. The sum of
    the map is the paper's I·Φ. So a map must hold shares of the score, as occlusion, gradient ×
    input and CAMs do. Multiply a gradient by `images − baseline` first. If `scaled`, β ≥ 0 is the
    factor that fits each image's map best, since maps have different units. Otherwise β = 1.
    """
    check_count("samples", samples, 1, MOST_VERSIONS)
    check_count("seed", seed, 0)
    check_images(images)
    planes, fill = _planes(maps, images), make_baseline(baseline, images).numpy()
    pixels, count = images.numpy(), len(images)
    height, width = planes.shape[1:]
    random = np.random.default_rng(seed)
    hidden = np.zeros((samples, height, width), dtype=bool)
    for one in hidden:
        side = random.integers(1, max(1, min(height, width) // 2) + 1)
        top, left = random.integers(height - side + 1), random.integers(width - side + 1)
        one[top : top + side, left : left + side] = True
    told = np.einsum("shw,nhw->ns", hidden, planes, dtype="float64")
    found = np.empty((count, samples))
    with score_function(network) as score_of:
        scores, chosen = score_of(images, targets, score)
        for n in range(count):
            for part in batches(samples, batch_size, "hiding squares"):
                mixed = np.where(hidden[part][:, None], fill[n], pixels[n])
                each = repeat(chosen[n : n + 1], len(mixed))
                left_over = score_of(paddle.to_tensor(mixed), each, score)[0].numpy()
                found[n, part] = float(scores[n]) - left_over
    factors = np.ones(count)
    if scaled:
        sizes = (told**2).sum(axis=1)
        factors = np.maximum(0, (told * found).sum(axis=1)) / np.where(sizes > 0, sizes, 1)
    return ((factors[:, None] * told - found) ** 2).mean(axis=1)


def max_sensitivity(
    network: paddle.nn.Layer,
    images: paddle.Tensor,
    method: Callable[..., paddle.Tensor],
    targets: Any = None,
    *,
    radius: float = 0.02,
    samples: int = 10,
    seed: int = 0,
    score: Score = "logit",
) -> np.ndarray:
    """Max-sensitivity, `[N]`: how much a map changes with noise (Yeh et al. 2019, definition 3.1).

    max over δ of ‖Φ(I + δ) − Φ(I)‖ / ‖Φ(I)‖; lower is better. δ is noise, uniform within ± `radius`
    in normalised units, drawn `samples` times. Φ is `method(network, images, targets)`. Use
    `functools.partial` to give the method options. Without `targets` the class is the one that the
    network predicts for the image without noise. A `score` that is a function is that of the
    method.
    """
    check_images(images)
    number = isinstance(radius, (int, float)) and not isinstance(radius, bool)
    if not (number and 0 <= radius < float("inf")):
        raise ConfigError(f"radius must be a number of at least 0, not {radius!r}")
    check_count("samples", samples, 1, MOST_VERSIONS)
    check_count("seed", seed, 0)
    with score_function(network) as score_of:
        _, chosen = score_of(images, targets, score)
    random = np.random.default_rng(seed)
    before = method(network, images, chosen).numpy()
    size = _norms(before)
    largest = np.zeros(len(images))
    for _ in range(samples):
        noise = random.uniform(-radius, radius, images.shape[1:]).astype("float32")
        moved = paddle.to_tensor(images.numpy() + noise)
        after = method(network, moved, chosen).numpy()
        largest = np.maximum(largest, _norms(after - before))
    return largest / np.where(size > 0, size, 1)


def _norms(maps: np.ndarray) -> np.ndarray:
    return np.sqrt(np.square(maps, dtype="float64").sum(axis=(1, 2, 3)))


def _planes(maps: Maps, images: paddle.Tensor) -> np.ndarray:
    """Check that maps `[N, C, H, W]` fit the images; return the sums over channels, `[N, H, W]`."""
    try:
        values = np.asarray(maps, dtype="float32")
    except (TypeError, ValueError):
        raise ImageError("maps must be a tensor or an array [N, C, H, W]") from None
    wanted = (images.shape[0], *images.shape[2:])
    if values.ndim != 4 or (values.shape[0], *values.shape[2:]) != wanted:
        raise ImageError(f"maps of {list(values.shape)} do not fit images of {list(images.shape)}")
    if not np.isfinite(values).all():
        raise ImageError("a map holds NaN or infinite values")
    return values.sum(axis=1)
