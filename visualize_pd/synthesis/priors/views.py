"""Views: what the network sees of an image in a step, changed at random."""

from __future__ import annotations

import numpy as np
import paddle

from .settings import Priors
from .transforms import add_noise, colour_jitter, random_shift, random_view

PART_WANDER = 0.5  # σ of the way of a part from the centre, as a share of the way to the edge


def views(
    images: paddle.Tensor, random: np.random.Generator, priors: Priors, done: float
) -> list[paddle.Tensor]:
    """What the network sees of images in a step. `done` is the share of the steps that are done."""
    size = _size(images, priors, done)
    seen = [_whole(images, random, priors, done, size)]
    if size:
        seen += [_part(images, random, priors, done, size) for _ in range(priors.views.parts)]
    return seen


def _size(images: paddle.Tensor, priors: Priors, done: float) -> int:
    """The shorter side of the views, or 0 if the image is not larger than that."""
    asked = priors.views
    size = asked.size if done < asked.until else asked.last_size
    return size if size < min(images.shape[2:]) else 0


def _whole(
    images: paddle.Tensor, random: np.random.Generator, priors: Priors, done: float, size: int
) -> paddle.Tensor:
    images = random_shift(images, priors.shift, random)
    images = random_view(images, priors.rotation, _zoom_at(priors, done), random, size)
    return _colours(images, random, priors, done)


def _part(
    images: paddle.Tensor, random: np.random.Generator, priors: Priors, done: float, size: int
) -> paddle.Tensor:
    low, high = priors.views.zoom
    own = min(images.shape[2:]) / (priors.views.last_size or size)
    zoom = low, max(high, own)
    images = random_view(images, priors.rotation, zoom, random, size, PART_WANDER)
    return _colours(images, random, priors, done)


def _zoom_at(priors: Priors, done: float) -> tuple[float, float]:
    """The factors of the zoom when the share `done` of the steps is done."""
    first, last = priors.zoom, priors.last_zoom or priors.zoom
    low, high = (a + (b - a) * done for a, b in zip(first, last))
    return low, high


def _colours(
    images: paddle.Tensor, random: np.random.Generator, priors: Priors, done: float
) -> paddle.Tensor:
    """Other colours and noise. Both fall to nothing at the last step."""
    images = colour_jitter(images, priors.colour_jitter * (1 - done), random)
    return add_noise(images, priors.noise * (1 - done), random)
