"""ROAD: remove pixels so that their absence itself tells nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import paddle

from ...core.checks import check_count, look_up
from ...core.errors import ConfigError
from ...network.batching import batches, repeat
from ...network.scores import Score, check_images, score_function
from ..maps import Maps, check_shares, pixel_order, planes_of
from .curves import Curve
from .imputation import check_scipy, impute

ORDERS = {"morf": 1, "lerf": -1}


def road(
    network: paddle.nn.Layer,
    images: paddle.Tensor,
    maps: Maps,
    targets: Any = None,
    *,
    order: str = "morf",
    shares: Sequence[float] = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9),
    noise: float = 0.01,
    score: Score = "probability",
    seed: int = 0,
    batch_size: int = 32,
) -> Curve:
    """The score while pixels are removed without a trace (ROAD, Rong et al. 2022).

    `order`: with morf the most relevant pixels go first, and a lower score is better; with lerf the
    least relevant ones go first, and a higher score is better. Each of the `shares` of the pixels
    is taken away in turn. A missing pixel is the weighted mean of its
    neighbours, plus normal `noise` of that σ in normalised units. The result has a score for each
    of the `shares`, `[N, len(shares)]`. Raises a `VisualizeError` for maps that do not fit the
    images, for wrong options, and without SciPy.
    """
    check_scipy()
    check_shares(shares)
    check_count("seed", seed, 0)
    sign = look_up("order", order, ORDERS)
    if isinstance(noise, bool) or not isinstance(noise, (int, float)) or not 0 <= noise < np.inf:
        raise ConfigError(f"noise must be a number of at least 0, not {noise!r}")
    check_images(images)
    planes, scores = planes_of(maps, images), np.empty((len(images), len(shares)))
    with score_function(network) as score_of:
        _, chosen = score_of(images, targets, score)
        for n, (image, plane) in enumerate(zip(images.numpy(), planes)):
            indices = pixel_order(plane)[::sign]
            random = np.random.default_rng(seed)
            for part in batches(len(shares), batch_size, "imputing pixels"):
                versions = [
                    _without(image, indices, share, noise, random) for share in shares[part]
                ]
                each = repeat(chosen[n : n + 1], len(versions))
                scores[n, part] = score_of(paddle.to_tensor(np.stack(versions)), each, score)[0]
    return Curve(np.array(shares), scores)


def _without(
    image: np.ndarray,
    order: np.ndarray,
    share: float,
    noise: float,
    random: np.random.Generator,
) -> np.ndarray:
    """An image whose first pixels in the order are imputed. At least one pixel is left."""
    missing = np.zeros(image.shape[1:], dtype=bool)
    missing.flat[order[: min(round(share * order.size), order.size - 1)]] = True
    shift = noise * random.standard_normal(image.shape)
    return np.where(missing, impute(image, missing) + shift, image).astype("float32")
