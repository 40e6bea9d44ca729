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
from .nonnegative import check_extra, coefficients_of, factorise
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
    most_crops: int = 4000,
    size: int | Sequence[int] | None = None,
    samples: int = 128,
    seed: int = 0,
    batch_size: int = 32,
    score: Score = "logit",
) -> Concepts:
    """The concepts of a class: factors of the activations of crops (CRAFT, Fel et al. 2023).

    Square crops of the images, enlarged to the network's input, go up to a layer, where they are
    averaged over all positions: A `[M, C]`. Non-negative factors of A ≈ U V are the concepts. Their
    importance for the score of the class `target` is the total Sobol index of each, the mean over
    the images: the coefficients of one concept at all positions of an image are multiplied by the
    same random number in [0, 1], and the rest of the network sees U V in place of the activations.

    `images`: images of the class, `[N, C, H, W]`, or a sequence of such tensors. They may be
    larger than the network's input; then give its side, or `(height, width)`, as `size`, and crops
    are sharper. A sequence that loads its items when they are asked for keeps memory small.
    `target`: by default the class that the network predicts for most of them. `layer`: a layer with
    feature maps that are not negative; by default that of the CAMs. `count`: the number of
    concepts. `crop`: the side of a crop as a share of the shorter side of its image. Crops overlap
    by half. Of more than `most_crops`, some are drawn at random. `samples`: the points for
    the importance; it takes `samples` · (`count` + 2) passes through the rest of the network for
    each image.

    Needs scikit-learn. Raises `ConfigError` for a layer that is unknown or does not fit, for more
    concepts than crops or channels, and if scikit-learn is missing. Raises `ImageError` for images
    that are too small, `TargetError` for a class that does not exist, and `ModelError` if the score
    does not depend on the concepts.
    """
    check_extra()
    for what, value in (("count", count), ("most_crops", most_crops), ("samples", samples)):
        check_count(what, value)
    check_count("seed", seed, 0)
    if isinstance(crop, bool) or not isinstance(crop, (int, float)) or not 0 < crop <= 1:
        raise ConfigError(f"crop must be a share over 0 and at most 1, not {crop!r}")
    singles = Singles(images, size)
    where = concept_layer(network, singles.whole(0), layer)
    crops = crops_of(singles, crop, most_crops, seed)
    with score_function(network) as score_of:
        chosen = _target(singles, target, score, score_of)
        pooled = _pooled(where, singles, crops, batch_size)
        factors = factorise(pooled, count, seed)
        shares = np.zeros(count)
        for part in batches(len(singles), 1, "weighing concepts"):
            image = singles.whole(part.start)
            _, held = score_of(image, chosen, score)
            function = _score_of_shares(where, image, factors, held, batch_size, score)
            shares += total_indices(function, count, samples, seed)
    if not shares.any():
        raise ModelError(
            f"the score does not depend on the concepts of layer '{where.name}'; name another layer"
        )
    order = np.argsort(-shares, kind="stable")
    factors = factors[order]
    found = coefficients_of(pooled, factors)
    return Concepts(
        chosen,
        paddle.to_tensor(factors.astype("float32")),
        paddle.to_tensor((shares[order] / len(singles)).astype("float32")),
        paddle.to_tensor(found.astype("float32")),
        crops,
        float(np.linalg.norm(pooled - found @ factors) / max(np.linalg.norm(pooled), 1e-30)),
        where,
    )


def _target(singles: Singles, target: int | None, score: Score, score_of: Callable) -> int | None:
    """The class to explain: the one that most images are predicted as, if none is given.

    It is None for a score that is a function.
    """
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
