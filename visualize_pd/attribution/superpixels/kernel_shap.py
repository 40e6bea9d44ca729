"""Kernel SHAP: Shapley values of segments, by a regression."""

from __future__ import annotations

from collections.abc import Iterator
from math import comb
from typing import Any

import numpy as np
import paddle

from ...core.checks import check_count
from ...network.batching import MOST_VERSIONS
from ...network.scores import Score
from .coalitions import Game, map_of_segments, normal_equations

EXACT = 10  # segments of which all coalitions are taken


def kernel_shap(
    network: paddle.nn.Layer,
    images: paddle.Tensor,
    targets: Any = None,
    *,
    segments: str | paddle.Tensor = "slic",
    segment_count: int | None = None,
    samples: int = 1000,
    baseline: str | paddle.Tensor = "zero",
    seed: int = 0,
    batch_size: int | None = None,
    score: Score = "logit",
) -> paddle.Tensor:
    """Shapley values of segments as a weighted regression (Lundberg & Lee 2017, theorem 2).

    `[N, 1, H, W]`, signed: each pixel has the value of its segment. The values of all segments sum
    to S_c(I) − S_c(baseline). With up to ten segments all coalitions are taken, and the values are
    the Shapley values. With more, `samples` coalitions are drawn as the Shapley kernel weights
    them, each followed by its complement. `segments`: slic (scikit-image), grid, or a tensor of
    whole numbers `[N, H, W]`; `segment_count`: about how many, by default 50. `baseline` fills
    hidden segments: zero (the training set's mean colour), mean, blurred, or a tensor. Raises
    `ConfigError` for more segments than pixels, and without scikit-image.
    """
    check_count("samples", samples, 2, MOST_VERSIONS)
    check_count("seed", seed, 0)

    def values_of(game: Game) -> np.ndarray:
        return shapley_values(game, samples, np.random.default_rng(seed))

    return map_of_segments(
        values_of,
        network,
        images,
        targets,
        segments=segments,
        segment_count=segment_count,
        baseline=baseline,
        batch_size=batch_size,
        score=score,
    )


def shapley_values(game: Game, samples: int, random: np.random.Generator) -> np.ndarray:
    """The φ with the least Σ w(z) (S(z) − S(∅) − Σ φ_k z_k)² and the sum S(all) − S(∅)."""
    players = game.players
    empty = game.scores(np.zeros((1, players), dtype=bool))[0]
    gain = game.whole - empty

    def rounds() -> Iterator:
        coalitions, count = drawn(players, random), samples
        if players <= EXACT:
            coalitions, count = _all(players), 2**players - 2
        for visible, scores in game.play(coalitions, count) if count else ():
            weights = _kernel(visible) if players <= EXACT else np.full(len(visible), 1 / samples)
            yield visible.astype("float64"), weights, scores - empty

    left, right = normal_equations(rounds(), players)
    constrained = np.ones((players + 1, players + 1))  # with a Lagrange multiplier for the sum
    constrained[:players, :players] = left
    constrained[players, players] = 0
    values = np.linalg.lstsq(constrained, np.append(right, gain), rcond=None)[0][:players]
    return values + (gain - values.sum()) / players  # no more than rounding


def _all(players: int) -> Iterator[np.ndarray]:
    """All coalitions but the empty one and the whole."""
    for code in range(1, 2**players - 1):
        yield (code >> np.arange(players)) % 2 == 1


def _kernel(visible: np.ndarray) -> np.ndarray:
    """The Shapley kernel, (K − 1) / (C(K, s) · s · (K − s)) for s of K segments."""
    players = visible.shape[1]
    sizes = visible.sum(axis=1).tolist()
    return np.array([(players - 1) / (comb(players, s) * s * (players - s)) for s in sizes])


def drawn(players: int, random: np.random.Generator) -> Iterator[np.ndarray]:
    """Coalitions without end, as often as the Shapley kernel weights them, in pairs."""
    sizes = np.arange(1, players)
    shares = 1 / (sizes * (players - sizes))  # of all coalitions of a size together
    shares /= shares.sum()
    while True:
        visible = np.zeros(players, dtype=bool)
        visible[random.permutation(players)[: random.choice(sizes, p=shares)]] = True
        yield visible
        yield ~visible
