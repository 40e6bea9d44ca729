"""LIME: a linear model of the score, fitted around the image."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import paddle

from ...core.checks import check_count
from ...core.errors import ConfigError
from ...network.batching import MOST_VERSIONS
from ...network.scores import Score
from .coalitions import Game, map_of_segments, normal_equations


def lime(
    network: paddle.nn.Layer,
    images: paddle.Tensor,
    targets: Any = None,
    *,
    segments: str | paddle.Tensor = "slic",
    segment_count: int | None = None,
    samples: int = 1000,
    width: float = 0.25,
    ridge: float = 1.0,
    baseline: str | paddle.Tensor = "zero",
    seed: int = 0,
    batch_size: int | None = None,
    score: Score = "logit",
) -> paddle.Tensor:
    """The weights φ of a linear model Σ φ_k z_k of the score (Ribeiro et al. 2016, equation 2).

    `[N, 1, H, W]`, signed: each pixel has the φ of its segment. z_k is 1 where segment k is
    visible. For each of `samples` coalitions, first the number of visible segments is drawn, and
    then which ones. The loss is Σ π(z) (S_c(z) − φ₀ − Σ φ_k z_k)² + `ridge` · Σ φ_k². The kernel
    π(z) is exp(−D²/`width`²), and D is the cosine distance of z from 1. `segments`: slic
    (scikit-image), grid, or a tensor of whole numbers `[N, H, W]`. `segment_count`: about how many,
    by default 50. `baseline` fills hidden segments: zero (the training set's mean colour), mean,
    blurred, or a tensor. Raises `ConfigError` for more segments than pixels, and without
    scikit-image.
    """
    check_count("samples", samples, 1, MOST_VERSIONS)
    check_count("seed", seed, 0)
    _check_number("width", width, above=True)
    _check_number("ridge", ridge)

    def values_of(game: Game) -> np.ndarray:
        rounds = _rounds(game, samples, width, np.random.default_rng(seed))
        left, right = normal_equations(rounds, game.players + 1)
        penalty = np.diag([0.0, *[ridge] * game.players])
        return np.linalg.lstsq(left + penalty, right, rcond=None)[0][1:]

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


def _rounds(game: Game, samples: int, width: float, random: np.random.Generator) -> Iterator:
    """Rows z with a 1 for φ₀, their kernel π(z), and how far their scores are from the image's."""
    for visible, scores in game.play(neighbours(game.players, random), samples):
        distances = 1 - np.sqrt(visible.mean(axis=1))
        rows = np.column_stack([np.ones(len(visible)), visible])
        yield rows, np.exp(-((distances / width) ** 2)), scores - game.whole


def neighbours(players: int, random: np.random.Generator) -> Iterator[np.ndarray]:
    """Coalitions without end: a number of segments from 1 to all, and then which ones."""
    while True:
        visible = np.zeros(players, dtype=bool)
        visible[random.permutation(players)[: random.integers(1, players + 1)]] = True
        yield visible


def _check_number(what: str, value: float, above: bool = False) -> None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not 0 <= value < float("inf") or (above and value == 0):
        raise ConfigError(f"{what} must be a number {'over' if above else 'from'} 0, not {value!r}")
