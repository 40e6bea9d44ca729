"""The average of a method's maps over noisy copies of the image."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import paddle

from ...core.checks import check_count, look_up, options_of
from ...core.errors import ConfigError
from ...network.batching import MOST_VERSIONS, batches, repeat, scores_and_versions
from ...network.finite import passes_of_a_loop
from ...network.scores import Score
from ..path.integrated_gradients import integrated_gradients
from ..reduction import reduce
from .gradient import grad_times_input, gradient, saliency
from .guided_backprop import deconvnet, guided_backprop

AVERAGES = {
    "mean": lambda mean, square: mean,
    "squared": lambda mean, square: square,
    "variance": lambda mean, square: (square - mean * mean).clip(min=0),
}


def smooth_grad(
    network: paddle.nn.Layer,
    images: paddle.Tensor,
    targets: Any = None,
    *,
    of: str | Mapping | Callable = "gradient",
    samples: int = 50,
    noise: float = 0.15,
    average: str = "mean",
    seed: int = 0,
    batch_size: int | None = None,
    score: Score = "logit",
    channel: str = "none",
    sign: str = "signed",
) -> paddle.Tensor:
    """The average of a method's maps over noisy copies of the image (Smilkov et al. 2017).

    `of`: the name of a gradient method, `{"name": …}` with its options, or a function. `noise`: σ
    as a share of the image's range, max − min. `average`: mean, squared (SmoothGrad², Hooker et al.
    2019) or variance (VarGrad, Adebayo et al. 2018). All images get the same noise, so a batch
    gives what single images give. The shape is that of the method's maps, reduced.
    """
    method, options = _inner(of)
    check_count("samples", samples, 1, MOST_VERSIONS)
    if isinstance(noise, bool) or not isinstance(noise, (int, float)) or not 0 <= noise < 1e3:
        raise ConfigError(f"noise must be a share of the image's range, not {noise!r}")
    put_together = look_up("average", average, AVERAGES)
    check_count("seed", seed, 0)
    random = np.random.default_rng(seed)
    _, chosen, versions = scores_and_versions(network, images, targets, score, batch_size)
    images = images.detach()
    low, high = (f(images, axis=[1, 2, 3], keepdim=True) for f in (paddle.min, paddle.max))
    deviation = (noise * (high - low)).expand_as(images)
    total = square = 0.0
    with passes_of_a_loop():
        for part in batches(samples, versions, "smoothing"):
            count = part.stop - part.start
            batch = _noisy(images, deviation, count, random)
            maps = method(network, batch, repeat(chosen, count), **{"score": score, **options})
            maps = maps.reshape([count, len(images), *maps.shape[1:]])
            if average == "variance":  # a small difference of large numbers
                maps = maps.astype("float64")
            total += maps.sum(axis=0)
            if average != "mean":
                square += (maps * maps).sum(axis=0)
    smoothed = put_together(total / samples, square / samples).astype(images.dtype)
    return reduce(smoothed, channel, sign)


def _noisy(
    images: paddle.Tensor, deviation: paddle.Tensor, count: int, random: np.random.Generator
) -> paddle.Tensor:
    """`count` noisy copies of a batch, `[count · N, C, H, W]`."""
    numbers = random.standard_normal((count, *images.shape[1:]), dtype="float32")
    drawn = paddle.to_tensor(numbers).astype(images.dtype)
    return paddle.concat([images + deviation * one.expand_as(images) for one in drawn.split(count)])


GRADIENT_METHODS = {
    method.__name__: method
    for method in (
        gradient,
        saliency,
        grad_times_input,
        guided_backprop,
        deconvnet,
        integrated_gradients,
    )
}


def _inner(of: str | Mapping | Callable) -> tuple[Callable, dict]:
    if callable(of):
        return of, {}
    options = dict(of) if isinstance(of, Mapping) else {"name": of}
    method = look_up("method", options.pop("name", None), GRADIENT_METHODS)
    known = {name: None for name in options_of(method) if name != "return_gap"}
    for option in options:
        look_up("option", option, known)
    return method, options
