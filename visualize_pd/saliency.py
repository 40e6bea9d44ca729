"""Explanations by the gradient of the class score with respect to the image."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import paddle

from .baselines import make_baseline, uniform
from .errors import ConfigError, check_count, look_up, options_of
from .features import find_layers, maps_of
from .gradients import differentiate, input_gradient, last_maps, record
from .passes import batches, begin, repeat, scoring

logger = logging.getLogger("visualize_pd")

CHANNELS = {
    "max": lambda maps: maps.max(axis=1, keepdim=True),
    "sum": lambda maps: maps.sum(axis=1, keepdim=True),
    "none": lambda maps: maps,
}
SIGNS = {
    "absolute": paddle.abs,
    "positive": lambda maps: maps.clip(min=0),
    "negative": lambda maps: (-maps).clip(min=0),
    "signed": lambda maps: maps,
}


def reduce(attribution: paddle.Tensor, channel: str, sign: str) -> paddle.Tensor:
    """Take the `sign` part of an attribution, then put its channels together.

    `channel`: max, sum or none; `sign`: absolute, positive, negative (its size) or signed.
    """
    part, together = look_up("sign", sign, SIGNS), look_up("channel", channel, CHANNELS)
    return together(part(attribution))


def gradient(
    network: paddle.nn.Layer,
    images: paddle.Tensor,
    targets: Any = None,
    *,
    score: str = "logit",
    channel: str = "none",
    sign: str = "signed",
) -> paddle.Tensor:
    """∂S_c/∂I (Simonyan et al. 2013, equation 4): `[N, C, H, W]`, in logits per normalised unit."""
    return reduce(input_gradient(network, images, targets, score=score), channel, sign)


def saliency(
    network: paddle.nn.Layer,
    images: paddle.Tensor,
    targets: Any = None,
    *,
    score: str = "logit",
    channel: str = "max",
    sign: str = "absolute",
) -> paddle.Tensor:
    """max over channels of |∂S_c/∂I| (Simonyan et al. 2013, section 3.1): `[N, 1, H, W]`, ≥ 0."""
    return reduce(input_gradient(network, images, targets, score=score), channel, sign)


def grad_times_input(
    network: paddle.nn.Layer,
    images: paddle.Tensor,
    targets: Any = None,
    *,
    score: str = "logit",
    channel: str = "none",
    sign: str = "signed",
) -> paddle.Tensor:
    """I · ∂S_c/∂I (Shrikumar et al. 2016): `[N, C, H, W]`; with a linear score it sums to it."""
    attribution = input_gradient(network, images, targets, score=score) * images.detach()
    return reduce(attribution, channel, sign)


def guided_backprop(
    network: paddle.nn.Layer,
    images: paddle.Tensor,
    targets: Any = None,
    *,
    score: str = "logit",
    channel: str = "none",
    sign: str = "signed",
) -> paddle.Tensor:
    """∂S_c/∂I, cut at every ReLU where it is negative (Springenberg et al. 2015, section 3.4).

    `[N, C, H, W]`. Without ReLUs it is the gradient. Raises `ModelError` for a ReLU out of reach.
    """
    attribution = input_gradient(network, images, targets, score=score, relu="guided")
    return reduce(attribution, channel, sign)


def deconvnet(
    network: paddle.nn.Layer,
    images: paddle.Tensor,
    targets: Any = None,
    *,
    score: str = "logit",
    channel: str = "none",
    sign: str = "signed",
) -> paddle.Tensor:
    """Zeiler & Fergus 2014: ReLUs rectify what comes back, and nothing else (Simonyan et al. 4).

    `[N, C, H, W]`. Without ReLUs it is the gradient. Raises `ModelError` for a ReLU out of reach.
    """
    attribution = input_gradient(network, images, targets, score=score, relu="deconvnet")
    return reduce(attribution, channel, sign)


def activation_gradient(
    network: paddle.nn.Layer,
    images: paddle.Tensor,
    targets: Any = None,
    *,
    layer: str | None = None,
    filter: int | None = None,
    guided: bool = True,
    channel: str = "none",
    sign: str = "signed",
) -> paddle.Tensor:
    """∂ Σ A_k/∂I for one filter k of a layer, by guided backprop: what the filter sees here.

    `[N, C, H, W]`. `targets` play no part. `layer`: its name, or None for the last convolutional
    feature maps; `filter`: its channel, or None for the one that each image excites most. Raises
    `ConfigError` for a layer or a filter that the network does not have.
    """
    layers = network.sublayers() if layer is None else find_layers(network, layer)
    passed = record(network, images, relu="guided" if guided else None, layers=layers)
    if layer is None:
        maps = last_maps(passed.calls, passed.scores).maps
    else:
        maps = maps_of(layers[0], passed.calls, layer)
    with paddle.enable_grad():
        excitations = maps.sum(axis=[2, 3])
    if filter is None:
        chosen = excitations.detach().argmax(axis=1)
    else:
        check_count("filter", filter, 0)
        if filter >= maps.shape[1]:
            raise ConfigError(f"no filter {filter}; this layer has {maps.shape[1]}, from 0 on")
        chosen = paddle.full([len(images)], filter, dtype="int64")
    with paddle.enable_grad():
        scores = paddle.take_along_axis(excitations, chosen.unsqueeze(1), axis=1)
    (attribution,) = differentiate(scores, [passed.images])
    return reduce(attribution, channel, sign)


def _gauss_legendre(steps: int) -> tuple[np.ndarray, np.ndarray]:
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    return (nodes + 1) / 2, weights / 2


def _midpoint(steps: int) -> tuple[np.ndarray, np.ndarray]:
    return (np.arange(steps) + 0.5) / steps, np.full(steps, 1 / steps)


def _trapezoid(steps: int) -> tuple[np.ndarray, np.ndarray]:
    if steps < 2:
        raise ConfigError("the trapezoid rule needs at least 2 steps")
    weights = np.full(steps, 1 / (steps - 1))
    weights[[0, -1]] /= 2
    return np.linspace(0, 1, steps), weights


# Steps → nodes on [0, 1] and their weights, which sum to 1.
QUADRATURES = {
    "gauss_legendre": _gauss_legendre,
    "midpoint": _midpoint,
    "trapezoid": _trapezoid,
}


def integrated_gradients(
    network: paddle.nn.Layer,
    images: paddle.Tensor,
    targets: Any = None,
    *,
    baseline: str | paddle.Tensor = "zero",
    steps: int = 50,
    quadrature: str = "gauss_legendre",
    draws: int = 5,
    seed: int = 0,
    batch_size: int | None = None,
    score: str = "logit",
    channel: str = "none",
    sign: str = "signed",
    return_gap: bool = False,
) -> paddle.Tensor | tuple[paddle.Tensor, paddle.Tensor]:
    """(I − I′) · ∫₀¹ ∂S_c(I′ + α(I − I′))/∂I dα (Sundararajan et al. 2017): `[N, C, H, W]`.

    It sums to S_c(I) − S_c(I′). What it misses that by, its completeness gap, is logged as warning
    where it is over 1 % of that difference; `return_gap` adds it, `[N]`, to the result.
    `baseline` I′: zero (the training set's mean colour), mean (the image's own), blurred, random
    (the average over `draws` images of noise), or a tensor. `quadrature`: gauss_legendre, midpoint
    or trapezoid. Memory grows with `batch_size`, the points in one pass, not with `steps`; by
    default as many as keep what a pass records under 640 MB.
    """
    check_count("steps", steps)
    nodes, weights = look_up("quadrature", quadrature, QUADRATURES)(steps)
    random = np.random.default_rng(_checked_seed(seed))
    if isinstance(baseline, str) and baseline == "random":
        check_count("draws", draws)
    else:
        draws = 1
    scores, chosen, versions = begin(network, images, targets, score, batch_size)
    images = images.detach()
    total, expected = paddle.zeros_like(images), paddle.zeros_like(scores)
    for _ in range(draws):
        if isinstance(baseline, str) and baseline == "random":
            start = uniform(images, random)
        else:
            start = make_baseline(baseline, images)
        with scoring(network) as score_of:
            expected += (scores - score_of(start, chosen, score)[0]) / draws
        path = images - start
        mean_gradient = paddle.zeros_like(images)
        for part in batches(steps, versions, "integrating"):
            count = part.stop - part.start
            points = paddle.concat([start + float(alpha) * path for alpha in nodes[part]])
            gradients = input_gradient(network, points, repeat(chosen, count), score=score)
            for weight, at_one_point in zip(weights[part], gradients.split(count)):
                mean_gradient += float(weight) * at_one_point
        total += path * mean_gradient / draws
    gap = total.sum(axis=[1, 2, 3]) - expected
    _warn(gap, expected)
    attribution = reduce(total, channel, sign)
    return (attribution, gap) if return_gap else attribution


def _warn(gap: paddle.Tensor, expected: paddle.Tensor) -> None:
    for missing, whole in zip(gap.numpy().tolist(), expected.numpy().tolist()):
        if abs(missing) > 0.01 * abs(whole):
            logger.warning(
                "integrated gradients: completeness gap %.2g, over 1 %% of S(I) - S(I') = %.4g; "
                "take more steps",
                *(missing, whole),
            )


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
    score: str = "logit",
    channel: str = "none",
    sign: str = "signed",
) -> paddle.Tensor:
    """The average of a method's maps over noisy copies of the image (Smilkov et al. 2017).

    `of`: a method of this file by its name, `{"name": …}` with its options, or a function. `noise`:
    σ as a share of the image's range, max − min. `average`: mean, squared (SmoothGrad², Hooker et
    al. 2019) or variance (VarGrad, Adebayo et al. 2018). Each image gets the same noise, so that a
    batch gives what single images give. The shape is that of the method's maps, reduced.
    """
    method, options = _inner(of)
    check_count("samples", samples)
    if isinstance(noise, bool) or not isinstance(noise, (int, float)) or not 0 <= noise < 1e3:
        raise ConfigError(f"noise must be a share of the image's range, not {noise!r}")
    put_together = look_up("average", average, AVERAGES)
    random = np.random.default_rng(_checked_seed(seed))
    _, chosen, versions = begin(network, images, targets, score, batch_size)
    images = images.detach()
    low, high = (f(images, axis=[1, 2, 3], keepdim=True) for f in (paddle.min, paddle.max))
    deviation = (noise * (high - low)).expand_as(images)
    total = square = 0.0
    for part in batches(samples, versions, "smoothing"):
        count = part.stop - part.start
        drawn = paddle.to_tensor(
            random.standard_normal((count, *images.shape[1:]), dtype="float32")
        ).astype(images.dtype)
        batch = paddle.concat(
            [images + deviation * one.expand_as(images) for one in drawn.split(count)]
        )
        maps = method(network, batch, repeat(chosen, count), **{"score": score, **options})
        maps = maps.reshape([count, len(images), *maps.shape[1:]])
        if average == "variance":  # a difference of two large numbers
            maps = maps.astype("float64")
        total += maps.sum(axis=0)
        if average != "mean":
            square += (maps * maps).sum(axis=0)
    smoothed = put_together(total / samples, square / samples).astype(images.dtype)
    return reduce(smoothed, channel, sign)


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


def _checked_seed(seed: int) -> int:
    check_count("seed", seed, 0)
    return seed
