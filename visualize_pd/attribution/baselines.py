"""Baselines: the start of the path of integrated gradients, or what hides a part of an image."""

from __future__ import annotations

import numpy as np
import paddle

from ..core.checks import look_up
from ..core.errors import ImageError


def zero(images: paddle.Tensor) -> paddle.Tensor:
    return paddle.zeros_like(images)


def mean(images: paddle.Tensor) -> paddle.Tensor:
    return images.mean(axis=[2, 3], keepdim=True).expand_as(images)


def blurred(images: paddle.Tensor) -> paddle.Tensor:
    """Gaussian blur whose σ is a sixteenth of the longer side. The edges do not get darker."""
    sigma = max(images.shape[2:]) / 16

    def blur(size: int) -> paddle.Tensor:
        places = np.arange(size)
        weights = np.exp(-((places[:, None] - places) ** 2) / (2 * sigma**2))
        return paddle.to_tensor(weights / weights.sum(1, keepdims=True), dtype=images.dtype)

    height, width = images.shape[2:]
    return paddle.matmul(paddle.matmul(blur(height), images), blur(width), transpose_y=True)


BASELINES = {"zero": zero, "mean": mean, "blurred": blurred}


def make_baseline(baseline: str | paddle.Tensor, images: paddle.Tensor) -> paddle.Tensor:
    """The baseline of each image, `[N, C, H, W]`.

    `baseline`: zero (the training set's mean colour), mean (each image's own mean colour), blurred,
    or a tensor. A tensor is one image for all, `[1, C, H, W]`, or one for each. Raises
    `ConfigError` for an unknown name, and `ImageError` for a tensor of another shape.
    """
    if not isinstance(baseline, paddle.Tensor):
        return look_up("baseline", baseline, BASELINES)(images).detach()
    if baseline.shape not in (images.shape, [1, *images.shape[1:]]):
        raise ImageError(f"a baseline of {baseline.shape} does not fit images of {images.shape}")
    return baseline.detach().astype(images.dtype).expand_as(images)


def uniform(images: paddle.Tensor, random: np.random.Generator) -> paddle.Tensor:
    """Noise between the lowest and the highest value of each channel, the same for all images."""
    low, high = (f(images, axis=[2, 3], keepdim=True) for f in (paddle.min, paddle.max))
    noise = paddle.to_tensor(random.random(images.shape[1:], dtype="float32")).astype(images.dtype)
    return (low + noise * (high - low)).detach()
