"""Scores of an image of which only some segments are visible."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
import paddle

from ...core.errors import ConfigError
from ...network.batching import batches, pass_size, repeat
from ...network.finite import passes_of_a_loop
from ...network.scores import Score, score_function
from ..baselines import make_baseline
from .segments import segment

MOST_SEGMENTS = 2_000  # the regressions solve equations of this size
PASSES = 64  # whose scores are read together: each read waits for the device


class Game:
    """One image as a game: its players are its segments, and only a coalition is visible.

    `players` is their number, and `whole` the score of the image itself.
    """

    def __init__(
        self,
        image: paddle.Tensor,
        fill: paddle.Tensor,
        labels: np.ndarray,
        whole: float,
        score_of: Callable[[paddle.Tensor], paddle.Tensor],
        batch_size: int,
    ):
        self.image, self.fill, self.labels, self.whole = image, fill, labels, whole
        self.score_of, self.batch_size = score_of, batch_size
        self.players = int(labels.max()) + 1

    def scores(self, coalitions: np.ndarray) -> np.ndarray:
        """The scores of coalitions `[count, players]` of True and False, in one pass: `[count]`."""
        return self._scores(coalitions).numpy().astype("float64")

    def _scores(self, coalitions: np.ndarray) -> paddle.Tensor:
        mask = paddle.to_tensor(coalitions.astype("float32")[:, None, self.labels])
        mask = mask.astype(self.image.dtype)
        return self.score_of(self.image * mask + self.fill * (1 - mask))

    def play(
        self, coalitions: Iterable[np.ndarray], count: int
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The first `count` of some coalitions with their scores, those of many passes at once."""
        coalitions = iter(coalitions)
        visible: list[np.ndarray] = []
        scores: list[paddle.Tensor] = []
        for part in batches(count, self.batch_size, "hiding segments"):
            visible.append(np.stack(list(islice(coalitions, part.stop - part.start))))
            scores.append(self._scores(visible[-1]))
            if len(scores) == PASSES or part.stop == count:
                yield np.concatenate(visible), paddle.concat(scores).numpy().astype("float64")
                visible, scores = [], []


def map_of_segments(
    values_of: Callable[[Game], np.ndarray],
    network: paddle.nn.Layer,
    images: paddle.Tensor,
    targets: Any,
    *,
    segments: str | paddle.Tensor,
    segment_count: int | None,
    baseline: str | paddle.Tensor,
    batch_size: int | None,
    score: Score,
) -> paddle.Tensor:
    """The map `[N, 1, H, W]` in which each pixel has the value that its segment has in the game."""
    size = pass_size(network, images, batch_size)
    labels = segment(images, segments, segment_count)
    if labels.max() >= MOST_SEGMENTS:
        raise ConfigError(
            f"an image has {labels.max() + 1:,} segments, more than {MOST_SEGMENTS:,}; take fewer"
        )
    images = images.detach()
    fill = make_baseline(baseline, images)
    maps = np.empty((len(images), 1, *images.shape[2:]))
    with score_function(network) as score_of:
        whole, chosen = score_of(images, targets, score)
        for n, each in enumerate(labels):
            one = images[n : n + 1], fill[n : n + 1], each, float(whole[n])
            score_of_one = partial(_score_of, score_of, target=chosen[n : n + 1], score=score)
            with passes_of_a_loop():
                maps[n, 0] = values_of(Game(*one, score_of_one, size))[each]
    return paddle.to_tensor(maps).astype(images.dtype)


def _score_of(
    score_of: Callable, hidden: paddle.Tensor, target: paddle.Tensor, score: Score
) -> paddle.Tensor:
    return score_of(hidden, repeat(target, len(hidden)), score)[0]


def normal_equations(
    rounds: Iterable[tuple[np.ndarray, np.ndarray, np.ndarray]], size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Σ w z zᵀ and Σ w z y of a weighted regression of y on z, over rounds of (z, w, y)."""
    left, right = np.zeros((size, size)), np.zeros(size)
    for rows, weights, values in rounds:
        weighted = (rows * weights[:, None]).T
        left += weighted @ rows
        right += weighted @ values
    return left, right
