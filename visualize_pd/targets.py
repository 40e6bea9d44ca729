"""A network's output → one scalar per image: the score that is explained or raised."""

from __future__ import annotations

import difflib
import operator
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import paddle
from paddle.nn import functional

from .errors import ImageError, ModelError, TargetError, look_up


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


def read_target(target: str | int, labels: Sequence[str] | None) -> int | None:
    """What a config asks for: `predicted` → None; an index, or a class by its name → the index."""
    if target == "predicted":
        return None
    if isinstance(target, str) and not re.fullmatch(r"\s*[-+]?[0-9]{1,18}\s*", target):
        return find_class(target, labels)
    return int(target)


def find_class(name: str, labels: Sequence[str] | None) -> int:
    """The index of a class by one of its names, whatever the case, underscores and hyphens.

    `labels` hold synonyms separated by commas. Raises `TargetError` for an unknown name, with the
    closest ones, and for one that several classes share.
    """
    if not labels:
        raise TargetError(f"no class names are known for this network; give an index, not '{name}'")
    names = [[_plain(synonym) for synonym in label.split(",")] for label in labels]
    wanted = _plain(name)
    hits = [index for index, synonyms in enumerate(names) if wanted and wanted in synonyms]
    if len(hits) == 1:
        return hits[0]
    if hits:
        raise TargetError(f"'{name}' may be {_listed(hits, labels)}; give the index")
    padded = [f" {' , '.join(synonyms)} " for synonyms in names]
    near = [index for index, text in enumerate(padded) if f" {wanted} " in text]  # whole words
    near += [index for index, text in enumerate(padded) if wanted in text]
    for close in difflib.get_close_matches(
        wanted, [s for group in names for s in group], n=5, cutoff=0.75
    ):
        near += [index for index, synonyms in enumerate(names) if close in synonyms]
    near = list(dict.fromkeys(near))[:5]
    hint = f"did you mean {_listed(near, labels)}?" if near and wanted else "give an index"
    raise TargetError(f"unknown class '{name}'; {hint}")


def short_name(label: str) -> str:
    """The first of a label's synonyms."""
    return label.split(",")[0].strip()


def _plain(text: str) -> str:
    return " ".join(re.sub(r"[\W_]+", " ", text.lower()).split())


def _listed(indices: Sequence[int], labels: Sequence[str]) -> str:
    return " or ".join(f"{short_name(labels[index])} ({index})" for index in indices)
