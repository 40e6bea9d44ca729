"""Gradients along a path from a baseline to the image."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import paddle

from ...core.checks import check_count, look_up
from ...core.errors import ConfigError
from ...network.batching import MOST_VERSIONS, batches, repeat, scores_and_versions
from ...network.gradients import input_gradient
from ...network.scores import Score, score_function
from ..baselines import make_baseline, uniform
from ..reduction import reduce

logger = logging.getLogger("visualize_pd")
MOST_NODES = 5_000  # Gauss-Legendre nodes are the eigenvalues of a matrix of this size


def _gauss_legendre(steps: int) -> tuple[np.ndarray, np.ndarray]:
    if steps > MOST_NODES:
        raise ConfigError(
            f"gauss_legendre takes at most {MOST_NODES:,} steps, not {steps}; "
            "for more, use quadrature=midpoint"
        )
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    return (nodes + 1) / 2, weights / 2


def _midpoint(steps: int) -> tuple[np.ndarray, np.ndarray]:
    return (np.arange(steps) + 0.5) / steps, np.full(steps, 1 / steps)


def _trapezoid(steps: int) -> tuple[np.ndarray, np.ndarray]:
    if steps < 2:
        raise ConfigError("the trapezoid rule needs at least 2 steps")
    weights = np.full(steps, 1 / (steps - 1))
    weights[[0, -1]] /= 2
    return np.linspace(0, 1, steps), weights


# Functions of the steps. They return nodes on [0, 1], and weights that sum to 1.
QUADRATURES = {
    "gauss_legendre": _gauss_legendre,
    "midpoint": _midpoint,
    "trapezoid": _trapezoid,
}


def integrated_gradients(
    network: paddle.nn.Layer,
    images: paddle.Tensor,
    targets: Any = None,
    *,
    baseline: str | paddle.Tensor = "zero",
    steps: int = 50,
    quadrature: str = "gauss_legendre",
    draws: int = 5,
    seed: int = 0,
    batch_size: int | None = None,
    score: Score = "logit",
    channel: str = "none",
    sign: str = "signed",
    return_gap: bool = False,
) -> paddle.Tensor | tuple[paddle.Tensor, paddle.Tensor]:
    """(I − I′) · ∫₀¹ ∂S_c(I′ + α(I − I′))/∂I dα (Sundararajan et al. 2017): `[N, C, H, W]`.

    It should sum to S_c(I) − S_c(I′). What is missing is the completeness gap. A gap over 1 % of
    that difference is logged as a warning. `return_gap` also returns the gap, `[N]`. `baseline` I′:
    zero (the training set's mean colour), mean (the image's own), blurred, random (the average over
    `draws` images of noise), or a tensor. `quadrature`: gauss_legendre, midpoint or trapezoid.
    `batch_size`: the points in one pass, by default so many that a pass records at most 640 MB.
    Memory grows with it, not with `steps`.
    """
    check_count("steps", steps, 1, MOST_VERSIONS)
    nodes_and_weights = look_up("quadrature", quadrature, QUADRATURES)(steps)
    check_count("seed", seed, 0)
    random = np.random.default_rng(seed)
    is_random = isinstance(baseline, str) and baseline == "random"
    if is_random:
        check_count("draws", draws, 1, MOST_VERSIONS)
    scores, chosen, versions = scores_and_versions(network, images, targets, score, batch_size)
    images = images.detach()
    total, expected = paddle.zeros_like(images), paddle.zeros_like(scores)
    draws = draws if is_random else 1
    for _ in range(draws):
        start = uniform(images, random) if is_random else make_baseline(baseline, images)
        with score_function(network) as score_of:
            expected += (scores - score_of(start, chosen, score)[0]) / draws
        path = images - start
        mean_gradient = _mean_gradient(
            network, start, path, chosen, score, nodes_and_weights, versions
        )
        total += path * mean_gradient / draws
    gap = total.sum(axis=[1, 2, 3]) - expected
    _warn(gap, expected)
    attribution = reduce(total, channel, sign)
    return (attribution, gap) if return_gap else attribution


def _mean_gradient(
    network: paddle.nn.Layer,
    start: paddle.Tensor,
    path: paddle.Tensor,
    targets: paddle.Tensor,
    score: Score,
    nodes_and_weights: tuple[np.ndarray, np.ndarray],
    versions: int,
) -> paddle.Tensor:
    """∫₀¹ ∂S_c(start + α · path)/∂I dα, with at most `versions` points of each image in a pass."""
    nodes, weights = nodes_and_weights
    mean_gradient = paddle.zeros_like(path)
    for part in batches(len(nodes), versions, "integrating"):
        count = part.stop - part.start
        points = paddle.concat([start + float(alpha) * path for alpha in nodes[part]])
        gradients = input_gradient(network, points, repeat(targets, count), score=score)
        for weight, at_one_point in zip(weights[part], gradients.split(count)):
            mean_gradient += float(weight) * at_one_point
    return mean_gradient


def _warn(gap: paddle.Tensor, expected: paddle.Tensor) -> None:
    for missing, whole in zip(gap.numpy().tolist(), expected.numpy().tolist()):
        if abs(missing) > 0.01 * abs(whole):
            logger.warning(
                "integrated gradients: completeness gap %.2g, over 1 %% of S(I) - S(I') = %.4g; "
                "take more steps",
                *(missing, whole),
            )
