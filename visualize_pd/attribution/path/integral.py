"""The integral of a score's gradient along a path, by quadrature."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import paddle

from ...core.errors import ConfigError
from ...network.batching import batches, repeat
from ...network.finite import passes_of_a_loop
from ...network.gradients import input_gradient
from ...network.scores import Score

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

# A path γ from the baselines to the images: α in [0, 1] → γ(α) and γ′(α), both `[N, C, H, W]`.
Path = Callable[[float], tuple[paddle.Tensor, paddle.Tensor]]


def integrate(
    network: paddle.nn.Layer,
    path: Path,
    targets: paddle.Tensor,
    score: Score,
    nodes_and_weights: tuple[np.ndarray, np.ndarray],
    versions: int,
) -> paddle.Tensor:
    """∫₀¹ γ′(α) · ∂S_c(γ(α))/∂I dα, with at most `versions` points of each path in a pass."""
    nodes, weights = nodes_and_weights
    total: Any = 0.0
    with passes_of_a_loop():
        for part in batches(len(nodes), versions, "integrating"):
            count = part.stop - part.start
            points, slopes = zip(*(path(float(alpha)) for alpha in nodes[part]))
            batch = paddle.concat(list(points))
            gradients = input_gradient(network, batch, repeat(targets, count), score=score)
            for weight, slope, gradient in zip(weights[part], slopes, gradients.split(count)):
                total += float(weight) * slope * gradient
    return total
