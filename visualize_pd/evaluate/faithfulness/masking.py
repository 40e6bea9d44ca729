"""The score of an image of which only the parts that a map marks are left."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import paddle

from ...core.errors import ConfigError
from ...network.batching import batches
from ...network.scores import Score, check_images, score_function, score_name
from ..maps import Maps, planes_of


class Drop(NamedTuple):
    """For each image, `[N]`: the share of the score that is lost, and whether the score rises."""

    drops: np.ndarray
    increases: np.ndarray


def average_drop(
    network: paddle.nn.Layer,
    images: paddle.Tensor,
    maps: Maps,
    targets: Any = None,
    *,
    score: Score = "probability",
    batch_size: int = 32,
) -> Drop:
    """Drop max(0, Y − O) / Y and increase O > Y (Grad-CAM++, Chattopadhay et al. 2018, 5.1).

    Y is the score of the image, and O is the score of the image × its map. The means over many
    images are the average drop and the increase in confidence. A good map has a small drop and a
    large increase. Maps are summed over channels, cut at 0 and divided by their maximum. Where the
    map is 0, the image gets the mean colour. Raises `ConfigError` if a score Y is not over 0.
    """
    before, after = _scores_of_shown(network, images, maps, targets, score, batch_size)
    if (before <= 0).any():
        raise ConfigError(
            f"a drop is a share of the score, but score={score_name(score)} is not over 0 for "
            "every image"
        )
    return Drop(np.maximum(0, before - after) / before, after > before)


def average_gain(
    network: paddle.nn.Layer,
    images: paddle.Tensor,
    maps: Maps,
    targets: Any = None,
    *,
    batch_size: int = 32,
) -> np.ndarray:
    """Gain max(0, O − Y) / (1 − Y), `[N]` (Opti-CAM, Zhang et al. 2023).

    Y is the probability of the class in the image, and O is the same for the image × its map. The
    gain is the share of what the probability lacks to 1; 0 if it lacks nothing. The mean over many
    images is the average gain; a good map has a high one. Maps are prepared as for `average_drop`.
    """
    before, after = _scores_of_shown(network, images, maps, targets, "probability", batch_size)
    lacking = 1 - before
    return np.maximum(0, after - before) / np.where(lacking > 0, lacking, 1)


def _scores_of_shown(
    network: paddle.nn.Layer,
    images: paddle.Tensor,
    maps: Maps,
    targets: Any,
    score: Score,
    batch_size: int,
) -> tuple[np.ndarray, np.ndarray]:
    """The scores `[N]` of the images, and of the images × their maps."""
    check_images(images)
    planes = np.maximum(planes_of(maps, images), 0)
    peaks = planes.max(axis=(1, 2), keepdims=True)
    shown = images.numpy() * (planes / np.where(peaks > 0, peaks, 1))[:, None]
    with score_function(network) as score_of:
        before, chosen = score_of(images, targets, score)
        after = [
            score_of(paddle.to_tensor(shown[part]), chosen[part], score)[0].numpy()
            for part in batches(len(shown), batch_size, "masking")
        ]
    return before.numpy(), np.concatenate(after)
