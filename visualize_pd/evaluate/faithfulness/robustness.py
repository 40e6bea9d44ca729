"""Does a map stay the same when the image hardly changes?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import paddle

from ...core.checks import check_count
from ...core.errors import ConfigError
from ...network.batching import MOST_VERSIONS
from ...network.scores import Score, check_images, score_function


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
