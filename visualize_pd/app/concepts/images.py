"""The image of each concept, made by gradient ascent."""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import Any

import numpy as np
import paddle
from tqdm import tqdm

from ...attribution.concepts.craft import Concepts
from ...core.checks import did_you_mean
from ...core.config import build
from ...core.errors import ConfigError
from ...models.classifier import Classifier, network_errors
from ...network.batching import images_per_pass
from ...synthesis.ascent import ascend_together
from ...synthesis.builder import configured_ascent, configured_size, configured_start
from ...synthesis.objectives import direction_response
from ...synthesis.settings import AscentSettings
from ..generate.tasks import IMAGE

# The score of an image with as much of a concept as its best crop. It is like that of a logit, so
# that the weights of the priors mean the same in every layer.
LIKE_A_LOGIT = 15.0
READ = {*IMAGE.split()} - {"transparency"}


def image_settings(keys: dict[str, Any] | None) -> AscentSettings | None:
    """The settings in the key `image`. None for no images.

    Raises `ConfigError` for a key that makes no difference to the image of a concept.
    """
    if keys is None:
        return None
    for key in keys:
        if key not in READ:
            raise ConfigError(f"unknown key 'image.{key}'; {did_you_mean(str(key), sorted(READ))}")
    return build(AscentSettings, keys, "image")


def concept_images(classifier: Classifier, found: Concepts, settings: AscentSettings) -> np.ndarray:
    """An image for each concept, whose activations point in its direction: `[K, H, W, 3]` uint8."""
    start = configured_start(settings, classifier)
    size = images_per_pass(classifier.network, start)
    settings = dataclasses.replace(settings, objective="filter")
    best = found.coefficients.max(axis=0).clip(min=1e-12).unsqueeze(1)
    directions = found.factors * (LIKE_A_LOGIT / best)
    ascents = [
        partial(
            configured_ascent,
            settings,
            classifier,
            direction_response(found.layer, directions[first : first + size]),
            paddle.concat([start] * len(directions[first : first + size])),
        )
        for first in range(0, len(directions), size)
    ]
    height, width = configured_size(settings, classifier)
    bar = tqdm(total=settings.iterations, desc="drawing concepts", leave=False, disable=None)
    with network_errors(classifier, (width, height)), bar:
        for frame in ascend_together(ascents):
            bar.n = frame.iteration
            bar.refresh()
    return classifier.to_pixels(frame.image)
