"""The scores of classes: read the logits, check them, find the class of each image."""

from __future__ import annotations

import logging
import operator
from collections.abc import Sequence
from typing import Any
from weakref import WeakSet

import numpy as np
import paddle
from paddle.nn import functional

from ...core.checks import look_up
from ...core.errors import ImageError, ModelError, TargetError
from ..finite import check_all_finite, in_a_loop

logger = logging.getLogger("visualize_pd")

# Networks whose first logits were compared with each other.
CHECKED: WeakSet[paddle.nn.Layer] = WeakSet()


def logits_of(output: Any) -> paddle.Tensor:
    """The logits `[N, classes]` in the output of a network. Auxiliary outputs are left out.

    Of a tuple it is the first entry, of a dict the entry `logits`, or `output`, or its only tensor
    or entry. Raises `ModelError` for an output of another shape.
    """
    logits = output
    while isinstance(logits, (dict, tuple, list)) and logits:
        if isinstance(logits, dict):
            tensors = [key for key, each in logits.items() if isinstance(each, paddle.Tensor)]
            only = next((keys for keys in (tensors, list(logits)) if len(keys) == 1), [])
            own = [key for key in ("logits", "output") if key in logits] or only
            if not own:
                break
            logits = logits[own[0]]
        else:
            logits = logits[0]
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
    """Raise `ImageError` unless `images` is a tensor of floats `[N, C, H, W]`."""
    if not isinstance(images, paddle.Tensor):
        raise ImageError(
            f"images must be a paddle.Tensor [N, C, H, W], not {type(images).__name__}"
        )
    if images.ndim != 4 or 0 in images.shape or not paddle.is_floating_point(images):
        raise ImageError(f"images must be floats [N, C, H, W], not {images.dtype} {images.shape}")


def read_logits(output: Any, images: paddle.Tensor) -> paddle.Tensor:
    """The logits in the output of a network for `images`, one row for each image.

    Raises `ModelError` for an output of another shape.
    """
    logits = logits_of(output)
    if logits.shape[0] != images.shape[0]:
        raise ModelError(
            f"the network returned {logits.shape[0]} rows of logits for {images.shape[0]} images"
        )
    return logits


def check_finite(logits: paddle.Tensor) -> None:
    """Raise `ModelError` for logits that are NaN or infinite."""
    error = "the network gave scores that are not finite numbers; check its weights"
    check_all_finite([logits], ModelError(error))


def check_distinct(logits: paddle.Tensor, images: paddle.Tensor) -> None:
    """Raise `ModelError` for logits that are the same for all classes, as all-zero weights give.

    Images of a single colour may have such logits.
    """
    logits = logits.detach()
    same = logits.shape[1] > 1 and bool((logits.max(axis=1) == logits.min(axis=1)).all())
    if same and float(images.detach().std()) > 0:
        raise ModelError("the network gives the same score to every class; check its weights")


def check_or_warn(network: paddle.nn.Layer, logits: paddle.Tensor, images: paddle.Tensor) -> None:
    """Raise `ModelError` for logits that are not finite. Warn once of those without differences.

    The derivatives of equal logits may differ, so they are no error by themselves.
    """
    check_finite(logits)
    if network not in CHECKED:
        CHECKED.add(network)
        try:
            check_distinct(logits, images)
        except ModelError as error:
            logger.warning("%s", error)


def resolve_targets(targets: Any, logits: paddle.Tensor) -> paddle.Tensor:
    """The class index for each image, `[N]`.

    `targets`: None for each image's top-1 class, an int for all images, or N ints. Raises
    `TargetError` for a class that the network does not have, and for a wrong number of classes.
    """
    count, classes = logits.shape
    if targets is None:
        return logits.detach().argmax(axis=1)
    if isinstance(targets, paddle.Tensor):
        if in_a_loop() and targets.dtype == paddle.int64 and list(targets.shape) == [count]:
            return targets
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
    logits: paddle.Tensor,
    targets: paddle.Tensor,
    score: str = "logit",
    activation: str = "softmax",
) -> paddle.Tensor:
    """The score S_c(I) of each image's class, `[N]`.

    `score`: logit, probability or log_probability. `activation` is that of `set_activation`.
    """
    scores = look_up("score", score, SCORES)(logits, activation)
    return paddle.take_along_axis(scores, targets.unsqueeze(1), axis=1).squeeze(1)


def probabilities(logits: paddle.Tensor, activation: str = "softmax") -> paddle.Tensor:
    """The softmax over the classes, or the sigmoid of each class.

    `activation` is that of `set_activation`. A network with a single logit always has a sigmoid.
    """
    if _is_sigmoid(logits, activation):
        return functional.sigmoid(logits)
    return functional.softmax(logits, axis=1)


def log_probabilities(logits: paddle.Tensor, activation: str = "softmax") -> paddle.Tensor:
    """The logarithm of `probabilities`. It is exact also below -64, where Paddle's own ends."""
    if _is_sigmoid(logits, activation):
        return functional.log_sigmoid(logits)
    shifted = logits - logits.max(axis=1, keepdim=True).detach()
    return shifted - paddle.logsumexp(shifted, axis=1, keepdim=True)


def _is_sigmoid(logits: paddle.Tensor, activation: str) -> bool:
    return logits.shape[1] == 1 or activation == "sigmoid"


SCORES = {
    "logit": lambda logits, _activation: logits,
    "probability": probabilities,
    "log_probability": log_probabilities,
}
