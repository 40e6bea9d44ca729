"""Images made by gradient ascent: one Adam loop that yields frames."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import paddle

from . import priors
from .hooks import frozen
from .targets import class_scores, logits_of, resolve_targets


class Frame(NamedTuple):
    """The image `[1, C, H, W]` after `iteration` steps, normalised; its score S_c as shifted."""

    iteration: int
    image: paddle.Tensor
    score: float


def noise(shape: tuple[int, ...], std: float = 0.01, seed: int = 0) -> paddle.Tensor:
    """Gaussian noise around the mean colour, in normalised units; the same on every device."""
    values = np.random.default_rng(seed).normal(0, std, shape)
    return paddle.to_tensor(values.astype("float32"))


def class_image(
    network: paddle.nn.Layer,
    target: int,
    *,
    iterations: int = 160,
    learning_rate: float = 0.1,
    l2: float = 1e-3,
    total_variation: float = 0.015,
    shift: int = 16,
    seed: int = 0,
    init: paddle.Tensor | None = None,
) -> Iterator[Frame]:
    """Yield the frames of arg max_I S_c(I) − λ‖I‖²₂ (Simonyan et al. 2013, equation 1), from 0 on.

    Two priors that are not the paper's can be switched off with 0: a `total_variation` penalty, and
    a random `shift` of up to so many pixels before each pass. One Adam optimiser runs throughout.
    `init` (default: `noise` of 224 × 224) is `[1, C, H, W]`. The same seed on the same device gives
    the same frames. Raises `TargetError` for a class that the network does not have.
    """
    random = np.random.default_rng([seed, 1])
    start = noise((1, 3, 224, 224), seed=seed) if init is None else init
    image = paddle.create_parameter(
        start.shape, "float32", default_initializer=paddle.nn.initializer.Assign(start.numpy())
    )
    adam = paddle.optimizer.Adam(learning_rate, parameters=[image])
    for iteration in range(iterations + 1):
        with frozen(network), paddle.enable_grad():
            logits = logits_of(network(priors.random_shift(image, shift, random)))
            score = class_scores(logits, resolve_targets(target, logits)).sum()
            loss = -score
            if l2:
                loss = loss + l2 * priors.l2(image)
            if total_variation:
                loss = loss + total_variation * priors.total_variation(image)
            if iteration < iterations:
                loss.backward()
        yield Frame(iteration, image.detach().clone(), float(score))
        if iteration < iterations:
            adam.step()
            adam.clear_grad()
