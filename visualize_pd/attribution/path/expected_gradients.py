"""The mean of gradients at random points between random baselines and the image."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import paddle

from ...core.checks import check_count
from ...core.errors import ConfigError, ImageError
from ...network.batching import MOST_VERSIONS, batches, repeat, scores_and_versions
from ...network.finite import passes_of_a_loop
from ...network.gradients import input_gradient
from ...network.scores import Score
from ..baselines import BASELINES, make_baseline, uniform
from ..reduction import reduce


def gradient_shap(
    network: paddle.nn.Layer,
    images: paddle.Tensor,
    targets: Any = None,
    *,
    baselines: str | paddle.Tensor = "random",
    samples: int = 50,
    noise: float = 0.1,
    seed: int = 0,
    batch_size: int | None = None,
    score: Score = "logit",
    channel: str = "none",
    sign: str = "signed",
) -> paddle.Tensor:
    """E[(Ĩ − I′) · ∂S_c(I′ + α(Ĩ − I′))/∂I], Ĩ a noisy copy (GradientSHAP, Lundberg & Lee 2017).

    `[N, C, H, W]`. The expectation is the mean over `samples` draws of a baseline I′, of α in
    [0, 1] and of the noise. The draws of α are spread over the path: there is one in each of
    `samples` equal parts. It sums to the mean of S_c(Ĩ) − S_c(I′), up to the error of sampling.
    `baselines`: random (an image of noise in each draw), zero, mean or blurred (the same baseline
    in all draws), in a config also pictures: a folder, a file or a list; in Python also a tensor
    `[B, C, H, W]`. `noise`: σ as a share of the image's range, max − min. All images get the same
    draws, so a batch gives what single images give. Memory does not grow with `samples`.
    Raises `ImageError` for baselines of another size than the images.
    """
    options = (samples, noise, seed, batch_size, score)
    return reduce(_sampled(network, images, targets, baselines, *options), channel, sign)


def expected_gradients(
    network: paddle.nn.Layer,
    images: paddle.Tensor,
    targets: Any = None,
    *,
    baselines: str | paddle.Tensor | None = None,
    samples: int = 50,
    seed: int = 0,
    batch_size: int | None = None,
    score: Score = "logit",
    channel: str = "none",
    sign: str = "signed",
) -> paddle.Tensor:
    """E[(I − I′) · ∂S_c(I′ + α(I − I′))/∂I], I′ a random picture (Erion et al. 2021).

    `[N, C, H, W]`. It is `gradient_shap` without noise. `baselines` are pictures of the user, such
    as training data: in a config a folder, a file or a list of them, in Python a tensor
    `[B, C, H, W]`. What most of these pictures have is no reason for the class. All else is as in
    `gradient_shap`. Raises `ConfigError` if there are no baselines.
    """
    if baselines is None:
        raise ConfigError(
            "expected_gradients needs pictures as baselines; give a folder, as in "
            "method.baselines=photographs/, or a tensor [B, C, H, W]"
        )
    options = (samples, 0.0, seed, batch_size, score)
    return reduce(_sampled(network, images, targets, baselines, *options), channel, sign)


def _sampled(
    network: paddle.nn.Layer,
    images: paddle.Tensor,
    targets: Any,
    baselines: str | paddle.Tensor,
    samples: int,
    noise: float,
    seed: int,
    batch_size: int | None,
    score: Score,
) -> paddle.Tensor:
    """The mean over the samples, with as many of them in a pass as fit."""
    check_count("samples", samples, 1, MOST_VERSIONS)
    check_count("seed", seed, 0)
    if isinstance(noise, bool) or not isinstance(noise, (int, float)) or not 0 <= noise < 1e3:
        raise ConfigError(f"noise must be a share of the image's range, not {noise!r}")
    random = np.random.default_rng(seed)
    _, chosen, versions = scores_and_versions(network, images, targets, score, batch_size)
    images = images.detach()
    draw = _drawing(baselines, images, random)
    alphas = (random.permutation(samples) + random.random(samples)) / samples
    low, high = (f(images, axis=[1, 2, 3], keepdim=True) for f in (paddle.min, paddle.max))
    deviation = (noise * (high - low)).expand_as(images)
    total = paddle.zeros_like(images)
    with passes_of_a_loop():
        for part in batches(samples, versions, "sampling"):
            points, ways = [], []
            for alpha in alphas[part]:
                start, end = draw(), images
                if noise:
                    numbers = random.standard_normal(images.shape[1:], dtype="float32")
                    end = images + deviation * paddle.to_tensor(numbers).astype(images.dtype)
                ways.append(end - start)
                points.append(start + float(alpha) * ways[-1])
            held = repeat(chosen, len(points))
            gradients = input_gradient(network, paddle.concat(points), held, score=score)
            for way, gradient in zip(ways, gradients.split(len(points))):
                total += way * gradient
    return total / samples


def _drawing(
    baselines: str | paddle.Tensor, images: paddle.Tensor, random: np.random.Generator
) -> Callable[[], paddle.Tensor]:
    """A function that draws a baseline for each image, `[N, C, H, W]`."""
    if isinstance(baselines, str) and baselines == "random":
        return lambda: uniform(images, random)
    if not isinstance(baselines, paddle.Tensor):
        if not isinstance(baselines, str) or baselines not in BASELINES:
            known = ", ".join((*BASELINES, "random"))
            raise ConfigError(
                f"baselines must be pictures, a tensor [B, C, H, W] or one of {known}, "
                f"not {baselines!r}"
            )
        same = make_baseline(baselines, images)
        return lambda: same
    if list(baselines.shape[1:]) != images.shape[1:] or 0 in baselines.shape:
        raise ImageError(
            f"baselines of {baselines.shape} do not fit images of {images.shape}; they must be "
            "[B, C, H, W] with the images' C, H and W"
        )
    pictures = baselines.detach().astype(images.dtype)
    return lambda: pictures[int(random.integers(len(pictures)))].expand_as(images)
