"""The only caller of `paddle.grad`."""

from __future__ import annotations

from typing import Any

import paddle

from .errors import ImageError, ModelError
from .hooks import frozen
from .targets import class_scores, logits_of, resolve_targets


def input_gradient(network: paddle.nn.Layer, images: paddle.Tensor, targets: Any = None):
    """∂S_c/∂I, `[N, C, H, W]`, of the logit of each image's class, in one pass each way.

    `targets`: an int, N ints, or None for each image's top-1 class. Where the score does not
    depend on the image the gradient is zero. Raises `ImageError` for images that are not a batch,
    `TargetError` for a class that the network does not have, `ModelError` for other outputs than
    logits.
    """
    if images.ndim != 4 or not paddle.is_floating_point(images):
        raise ImageError(f"images must be floats [N, C, H, W], not {images.dtype} {images.shape}")
    with frozen(network), paddle.enable_grad():
        images = images.detach()
        images.stop_gradient = False
        logits = logits_of(network(images))
        if logits.shape[0] != images.shape[0]:
            raise ModelError(f"{logits.shape[0]} rows of logits came for {images.shape[0]} images")
        score = class_scores(logits, resolve_targets(targets, logits)).sum()
        if score.stop_gradient:
            return paddle.zeros_like(images)
        (gradient,) = paddle.grad(score, images, allow_unused=True)
    return paddle.zeros_like(images) if gradient is None else gradient
