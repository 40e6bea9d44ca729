"""Gradients along a path that first changes the pixels with the smallest gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import paddle

from ...core.checks import check_count
from ...core.errors import ConfigError
from ...network.batching import MOST_VERSIONS, batches, scores_and_versions
from ...network.finite import passes_of_a_loop
from ...network.gradients import input_gradient
from ...network.scores import Score, score_function
from ..baselines import make_baseline
from ..completeness import warn_of_gap
from ..reduction import reduce


def guided_ig(
    network: paddle.nn.Layer,
    images: paddle.Tensor,
    targets: Any = None,
    *,
    baseline: str | paddle.Tensor = "zero",
    steps: int = 100,
    fraction: float = 0.25,
    max_distance: float = 0.02,
    trapezoid: bool = True,
    score: Score = "logit",
    channel: str = "none",
    sign: str = "signed",
    return_gap: bool = False,
) -> paddle.Tensor | tuple[paddle.Tensor, paddle.Tensor]:
    """Σ Δx · ∂S_c(x)/∂I along an adaptive path (Guided IG, Kapishnikov et al. 2021).

    `[N, C, H, W]`. The path x goes from the `baseline` I′ to the image I. In each of the `steps`,
    ‖I − x‖₁ gets smaller by the same amount. Only the `fraction` of the values (colours of pixels)
    moves whose gradients are the smallest, so that noise of steep places that say nothing about the
    class is not collected. If these are not enough, the next ones follow. No value is ahead of the
    straight path, or behind it, by more than `max_distance`, as a share of the way: 0 gives
    integrated gradients, and 1 leaves the path free. The map should sum to S_c(I) − S_c(I′), and
    comes nearer to it with more steps. `return_gap` also returns what is missing, `[N]`. A gap over
    1 % is logged as a warning. `trapezoid`: the gradient of a step is the mean of those at its two
    ends. Without it, it is that at its start, as published. `baseline`: zero, mean, blurred, or a
    tensor.

    Each step needs the gradient at the end of the step before, so every image goes through the
    network alone, and memory does not grow with `steps`. NumPy chooses each step on the CPU.
    """
    check_count("steps", steps, 1, MOST_VERSIONS)
    for name, share in (("fraction", fraction), ("max_distance", max_distance)):
        if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 <= share <= 1:
            raise ConfigError(f"{name} must be from 0 to 1, not {share!r}")
    scores, chosen, _ = scores_and_versions(network, images, targets, score, None)
    images = images.detach()
    start = make_baseline(baseline, images)
    with score_function(network) as score_of:
        expected = scores - score_of(start, chosen, score)[0]
    maps = []
    for n in range(len(images)):
        slope_at, way = _straight(network, start[n], images[n], chosen[n : n + 1], score)
        maps.append(_along_path(slope_at, way, steps, fraction, max_distance, trapezoid))
    total = paddle.to_tensor(np.stack(maps), dtype=images.dtype)
    gap = total.sum(axis=[1, 2, 3]) - expected
    told = {"of": "S(I) - S(I')", "advice": "take more steps"}
    warn_of_gap("guided IG", gap, expected, **told)
    attribution = reduce(total, channel, sign)
    return (attribution, gap) if return_gap else attribution


def _straight(
    network: paddle.nn.Layer,
    start: paddle.Tensor,
    end: paddle.Tensor,
    target: paddle.Tensor,
    score: Score,
) -> tuple[Callable[[np.ndarray], np.ndarray], np.ndarray]:
    """α → ∂S_c/∂I at start + α · way of one image, with an α for each value; and the way."""
    begin = start.numpy().astype("float64")
    way = end.numpy().astype("float64") - begin

    def slope_at(alpha: np.ndarray) -> np.ndarray:
        point = paddle.to_tensor((begin + alpha * way)[None], dtype=end.dtype)
        return input_gradient(network, point, target, score=score).numpy()[0]

    return slope_at, way


@passes_of_a_loop()
def _along_path(
    slope_at: Callable[[np.ndarray], np.ndarray],
    way: np.ndarray,
    steps: int,
    fraction: float,
    max_distance: float,
    trapezoid: bool,
) -> np.ndarray:
    """The attribution of one image `[C, H, W]`. α is how far each value is on its way, 0 to 1."""
    length = np.abs(way)
    alpha, total = np.zeros_like(way), np.zeros_like(way)
    slope = slope_at(alpha)
    for part in batches(steps, 1, "following the path"):
        share = part.stop / steps
        bounds = max(share - max_distance, 0.0), min(share + max_distance, 1.0)
        moved = _moved(alpha, length, np.abs(slope), share, bounds, fraction)
        last = part.stop == steps and not trapezoid
        following = slope if last else slope_at(moved)
        total += (moved - alpha) * way * ((slope + following) / 2 if trapezoid else slope)
        alpha, slope = moved, following
    return total


def _moved(
    alpha: np.ndarray,
    length: np.ndarray,
    steepness: np.ndarray,
    share: float,
    bounds: tuple[float, float],
    fraction: float,
) -> np.ndarray:
    """α after a step at whose end Σ length · α is `share` of Σ length. Flat places move first."""
    low, high = bounds
    alpha = np.maximum(alpha, low)
    whole = length.sum()
    place = int(fraction * (alpha.size - 1))
    while True:
        missing = share * whole - (length * alpha).sum()
        free = (alpha < high) & (length > 0)
        if missing <= 1e-9 * whole or not free.any():
            return alpha
        costs = np.where(free, steepness, np.inf)
        chosen = free & (costs <= np.partition(costs, place, axis=None)[place])
        room = (length * (high - alpha) * chosen).sum()
        if missing < room:
            alpha[chosen] += missing / room * (high - alpha[chosen])
            return alpha
        alpha[chosen] = high
