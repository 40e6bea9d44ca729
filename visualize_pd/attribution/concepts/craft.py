"""CRAFT: the concepts by which a network recognises a class (Fel et al. 2023)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import paddle
from paddle.nn import functional

from ...core.checks import check_count
from ...core.errors import ConfigError, ModelError
from ...network.batching import batches, repeat
from ...network.partial_forward import PartialForward
from ...network.scores import Score, check_images, score_function, score_outputs
from .concept_layer import ConceptLayer, concept_layer
from .crops import Crop, Images, Singles, crops_of, overlap
from .nonnegative import check_extra, check_factors, coefficients_of, factorise
from .sobol_indices import total_indices


class Concepts(NamedTuple):
    """The concepts of a class, the most important one first.

    `factors` `[K, C]` are directions of length 1 in the channels of a layer. `importance` `[K]` is
    the total Sobol index of each: the share of the variance of the class score in which it has a
    part. `coefficients` `[M, K]` say how much of each concept is in each of the M `crops`. `error`
    is the relative error of the factorisation, ‖A − U V‖ / ‖A‖. `where` is the layer.
    """

    target: int | None
    factors: paddle.Tensor
    importance: paddle.Tensor
    coefficients: paddle.Tensor
    crops: list[Crop]
    error: float
    where: ConceptLayer

    @property
    def layer(self) -> str:
        """The name of the layer."""
        return self.where.name

    def maps(self, images: paddle.Tensor) -> paddle.Tensor:
        """Where each concept is in images, also in new ones: `[N, K, H, W]`, not negative.

        They are the coefficients of the activations at each position, enlarged bilinearly to the
        size of the images.
        """
        check_images(images)
        found = coefficients_of(self.where.activations(images), self.factors.numpy())
        small = paddle.to_tensor(found.transpose(0, 3, 1, 2).astype("float32"))
        return functional.interpolate(small, size=images.shape[2:], mode="bilinear")

    def best_crops(self, concept: int, count: int = 3) -> list[Crop]:
        """The crops with most of a concept, the best first. Two of them overlap by less than half.

        There may be fewer than `count` of them.
        """
        order = np.argsort(-self.coefficients[:, concept].numpy(), kind="stable")
        found: list[Crop] = []
        for crop in (self.crops[number] for number in order):
            if len(found) < count and all(overlap(crop, other) < 0.5 for other in found):
                found.append(crop)
        return found


def concepts(
    network: paddle.nn.Layer,
    images: Images,
    target: int | None = None,
    *,
    layer: str | None = None,
    count: int = 6,
    crop: float = 0.3,
    most_crops: int = 2000,
    size: int | Sequence[int] | None = None,
    samples: int = 128,
    seed: int = 0,
    batch_size: int = 32,
    score: Score = "logit",
) -> Concepts:
    """The concepts of a class: factors of the activations of crops (CRAFT, Fel et al. 2023).

    Square crops of the images, enlarged to the network's input, go up to a layer, where they are
    averaged over all positions: A `[M, C]`. Non-negative factors of A ≈ U V are the concepts. Their
    importance is the total Sobol index of each for the score of the class `target`, the mean over
    the images: at all positions of an image the coefficients of a concept are multiplied by the
    same random number in [0, 1], and the rest of the network sees U V in place of the activations.

    `images`: images of the class, `[N, C, H, W]`, or a sequence of single ones, `[1, C, H, W]`,
    that may read each when it is asked for. If they are larger than the network's input, which
    makes crops sharper, give its side, or `(height, width)`, as `size`. `target`: by default the
    class that is predicted for most images. `layer`: one with feature maps ≥ 0; by default that of
    the CAMs. `count`: how many concepts. `crop`: the side of a crop as a share of the shorter side
    of its image. Of more than `most_crops` crops, some are drawn at random. `samples`: the points
    for the importance, `samples` · (`count` + 2) passes through the rest of the network.

    Raises `ConfigError` for a layer that does not fit, for more concepts than crops or channels,
    and without scikit-learn; `ImageError` for images that are too small; `TargetError` for a class
    that does not exist; and `ModelError` if the score does not depend on the concepts.
    """
    _check_options(count, crop, most_crops, samples, seed)
    singles = Singles(images, size)
    where = concept_layer(network, singles.whole(0), layer)
    crops = crops_of(singles, crop, most_crops, seed)
    check_factors(count, len(crops), where.channels)
    chosen = _target(network, singles, target, score)
    pooled = _pooled(where, singles, crops, batch_size)
    factors = factorise(pooled, count, seed)
    shares = _importance(where, singles, factors, chosen, samples, seed, batch_size, score)
    return _sorted(chosen, factors, shares, pooled, crops, where)


def _check_options(count: int, crop: float, most_crops: int, samples: int, seed: int) -> None:
    check_extra()
    for what, value in (("count", count), ("most_crops", most_crops), ("samples", samples)):
        check_count(what, value)
    check_count("seed", seed, 0)
    if isinstance(crop, bool) or not isinstance(crop, (int, float)) or not 0 < crop <= 1:
        raise ConfigError(f"crop must be a share over 0 and at most 1, not {crop!r}")


def _importance(
    where: ConceptLayer,
    singles: Singles,
    factors: np.ndarray,
    target: int | None,
    samples: int,
    seed: int,
    batch_size: int,
    score: Score,
) -> np.ndarray:
    """The total Sobol index of each factor, the mean over all images: `[K]`."""
    total = np.zeros(len(factors))
    with score_function(where.network) as score_of:
        for part in batches(len(singles), 1, "weighing concepts"):
            image = singles.whole(part.start)
            _, held = score_of(image, target, score)
            function = _score_of_shares(where, image, factors, held, batch_size, score)
            total += total_indices(function, len(factors), samples, seed)
    if not total.any():
        raise ModelError(
            f"the score does not depend on the concepts of layer '{where.name}'; name another layer"
        )
    return total / len(singles)


def _sorted(
    target: int | None,
    factors: np.ndarray,
    importance: np.ndarray,
    pooled: np.ndarray,
    crops: list[Crop],
    where: ConceptLayer,
) -> Concepts:
    """The concepts in the order of their importance."""
    order = np.argsort(-importance, kind="stable")
    factors = factors[order]
    found = coefficients_of(pooled, factors)
    error = np.linalg.norm(pooled - found @ factors) / max(np.linalg.norm(pooled), 1e-30)
    return Concepts(
        target,
        paddle.to_tensor(factors.astype("float32")),
        paddle.to_tensor(importance[order].astype("float32")),
        paddle.to_tensor(found.astype("float32")),
        crops,
        float(error),
        where,
    )


def _target(
    network: paddle.nn.Layer, singles: Singles, target: int | None, score: Score
) -> int | None:
    """The class to explain: the one that most images are predicted as, if none is given.

    It is None for a score that is a function.
    """
    with score_function(network) as score_of:
        if target is not None or callable(score):
            score_of(singles.whole(0), target, score)  # refuses a class that does not exist
            return target
        classes = [
            int(score_of(singles.whole(part.start), None, score)[1].numpy().flat[0])
            for part in batches(len(singles), 1, "finding the class")
        ]
    return max(sorted(set(classes)), key=classes.count)


def _pooled(
    where: ConceptLayer, singles: Singles, crops: Sequence[Crop], batch_size: int
) -> np.ndarray:
    """The activations of crops, averaged over the positions: `[M, C]`."""
    return np.concatenate(
        [
            where.activations(paddle.concat([singles.part(crop) for crop in crops[part]])).mean(
                axis=(1, 2), dtype="float64"
            )
            for part in batches(len(crops), batch_size, "reading crops")
        ]
    )


def _score_of_shares(
    where: ConceptLayer,
    image: paddle.Tensor,
    factors: np.ndarray,
    held: paddle.Tensor,
    batch_size: int,
    score: Score,
) -> Callable[[np.ndarray], np.ndarray]:
    """A function of shares `[n, K]`: the scores `[n]` of an image with these shares of concepts."""
    amounts = coefficients_of(where.activations(image), factors)[0]  # [h, w, K]
    parts = np.einsum("hwk,kc->kchw", amounts, factors).astype("float32")
    flat = paddle.to_tensor(parts.reshape(len(parts), -1))
    rest = PartialForward(where.network, where.layer, image, where.call)

    def scores_of(shares: np.ndarray) -> np.ndarray:
        scores = []
        for start in range(0, len(shares), batch_size):
            some = paddle.to_tensor(shares[start : start + batch_size].astype("float32"))
            outputs = rest((some @ flat).reshape([-1, *parts.shape[1:]]))
            each = repeat(image, len(some)), repeat(held, len(some))
            scores.append(score_outputs(where.network, outputs, *each, score).scores.numpy())
        return np.concatenate(scores)

    return scores_of
