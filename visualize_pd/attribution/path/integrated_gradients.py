"""Gradients along the straight path from a baseline to the image."""

from __future__ import annotations

from typing import Any

import numpy as np
import paddle

from ...core.checks import check_count, look_up
from ...network.batching import MOST_VERSIONS, scores_and_versions
from ...network.scores import Score, score_function
from ..baselines import make_baseline, uniform
from ..completeness import warn_of_gap
from ..reduction import reduce
from .integral import QUADRATURES, integrate


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
    `batch_size`: the points in one pass, by default so many that a pass records at most 640 MB; on
    a GPU, as many as fit into its free memory. Memory grows with it, not with `steps`.
    """
    check_count("steps", steps, 1, MOST_VERSIONS)
    check_count("seed", seed, 0)
    random = np.random.default_rng(seed)
    is_random = isinstance(baseline, str) and baseline == "random"
    if is_random:
        check_count("draws", draws, 1, MOST_VERSIONS // steps)
    nodes_and_weights = look_up("quadrature", quadrature, QUADRATURES)(steps)
    scores, chosen, versions = scores_and_versions(network, images, targets, score, batch_size)
    images = images.detach()
    total, expected = paddle.zeros_like(images), paddle.zeros_like(scores)
    draws = draws if is_random else 1
    for _ in range(draws):
        start = uniform(images, random) if is_random else make_baseline(baseline, images)
        with score_function(network) as score_of:
            expected += (scores - score_of(start, chosen, score)[0]) / draws
        path = _straight(start, images)
        total += integrate(network, path, chosen, score, nodes_and_weights, versions) / draws
    gap = total.sum(axis=[1, 2, 3]) - expected
    told = {"of": "S(I) - S(I')", "advice": "take more steps"}
    warn_of_gap("integrated gradients", gap, expected, **told)
    attribution = reduce(total, channel, sign)
    return (attribution, gap) if return_gap else attribution


def _straight(start: paddle.Tensor, end: paddle.Tensor) -> Any:
    way = end - start
    return lambda alpha: (start + alpha * way, way)
