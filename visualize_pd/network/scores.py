"""A network's output → the scores of classes, one for each image."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import paddle
from paddle.nn import functional

from ..core.checks import look_up
from ..core.errors import ImageError, ModelError, TargetError
from .fast import CompiledForward, fast_layers
from .hooks import frozen


def logits_of(output: Any) -> paddle.Tensor:
    """The `[N, classes]` logits in what a network returns; auxiliary outputs are left out.

    Raises `ModelError` for an output of another shape.
    """
    logits = output[0] if isinstance(output, (tuple, list)) and output else output
    if isinstance(logits, paddle.Tensor) and logits.ndim == 1:
        logits = logits.unsqueeze(1)
    if not isinstance(logits, paddle.Tensor):
        raise ModelError(
            f"the network must return logits [N, classes], not a {type(logits).__name__}"
        )
    if logits.ndim != 2 or logits.shape[1] == 0 or not paddle.is_floating_point(logits):
        raise ModelError(f"the network must return logits [N, classes], not {logits.shape}")
    return logits


def check_images(images: paddle.Tensor) -> None:
    """Raise `ImageError` unless images are a batch of floats."""
    if not isinstance(images, paddle.Tensor):
        raise ImageError(
            f"images must be a paddle.Tensor [N, C, H, W], not {type(images).__name__}"
        )
    if images.ndim != 4 or 0 in images.shape or not paddle.is_floating_point(images):
        raise ImageError(f"images must be floats [N, C, H, W], not {images.dtype} {images.shape}")


def read_logits(output: Any, images: paddle.Tensor) -> paddle.Tensor:
    """The logits of images in what a network returned for them, one row for each."""
    logits = logits_of(output)
    if logits.shape[0] != images.shape[0]:
        raise ModelError(f"{logits.shape[0]} rows of logits came for {images.shape[0]} images")
    return logits


def resolve_targets(targets: Any, logits: paddle.Tensor) -> paddle.Tensor:
    """None (each image's top-1 class), an int or N ints → `[N]` class indices.

    Raises `TargetError` for a class that the logits do not have, and for a wrong number of them.
    """
    count, classes = logits.shape
    if targets is None:
        return logits.detach().argmax(axis=1)
    if isinstance(targets, paddle.Tensor):
        targets = targets.numpy()
    each = targets if isinstance(targets, (Sequence, np.ndarray)) else [targets] * count
    if isinstance(targets, np.ndarray) and targets.ndim == 0:
        each = [targets.item()] * count
    try:
        if any(isinstance(target, (bool, np.bool_)) for target in each):
            raise TypeError
        chosen = [operator.index(target) for target in each]
    except TypeError:
        raise TargetError(f"targets must be class indices or None, not {targets!r}") from None
    if len(chosen) != count:
        raise TargetError(f"{len(chosen)} targets for {count} images; give one for each")
    for target in chosen:
        check_class(target, classes)
    return paddle.to_tensor(chosen, dtype="int64")


def check_class(target: int, classes: int) -> None:
    """Raise `TargetError` unless `target` is one of `classes` indices."""
    if not 0 <= target < classes:
        raise TargetError(
            f"class {target} does not exist; this network has {classes} classes, 0 to {classes - 1}"
        )


def class_scores(
    logits: paddle.Tensor, targets: paddle.Tensor, score: str = "logit"
) -> paddle.Tensor:
    """S_c(I), `[N]`: each image's logit of its own class, or what `score` makes of it."""
    scores = look_up("score", score, SCORES)(logits)
    return paddle.take_along_axis(scores, targets.unsqueeze(1), axis=1).squeeze(1)


def probabilities(logits: paddle.Tensor) -> paddle.Tensor:
    """Softmax over the classes; for a network with a single logit its sigmoid."""
    single = logits.shape[1] == 1
    return functional.sigmoid(logits) if single else functional.softmax(logits, axis=1)


def log_probabilities(logits: paddle.Tensor) -> paddle.Tensor:
    """The logarithm of `probabilities`, exact where they vanish (Paddle's own ends at -64)."""
    if logits.shape[1] == 1:
        return functional.log_sigmoid(logits)
    shifted = logits - logits.max(axis=1, keepdim=True).detach()
    return shifted - paddle.logsumexp(shifted, axis=1, keepdim=True)


SCORES = {
    "logit": lambda logits: logits,
    "probability": probabilities,
    "log_probability": log_probabilities,
}


@contextmanager
def score_function(network: paddle.nn.Layer) -> Iterator[Callable]:
    """Yield a function `(images, targets, score) → (scores [N], targets [N])`, without gradients.

    The network is frozen for the length of the block.
    """
    forward = CompiledForward(network, logits_of)

    def score_of(
        images: paddle.Tensor, targets: Any = None, score: str = "logit"
    ) -> tuple[paddle.Tensor, paddle.Tensor]:
        check_images(images)
        logits = read_logits(forward(images), images)
        chosen = resolve_targets(targets, logits)
        return class_scores(logits, chosen, score), chosen

    with frozen(network), fast_layers(), paddle.no_grad():
        yield score_of
