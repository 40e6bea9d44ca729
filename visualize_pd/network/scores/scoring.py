"""The scores of images, of whatever kind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import paddle

from ..fast import CompiledForward, fast_layers
from ..hooks import frozen
from ..outputs import activation_of
from .class_scores import (
    check_images,
    check_or_warn,
    class_scores,
    logits_of,
    read_logits,
    resolve_targets,
)
from .contrast import Contrast, contrast_scores, contrasted
from .functions import Score, function_scores


class Scored(NamedTuple):
    """The scores `[N]`, what is held fixed for each image, and the logits of a score of a class.

    `targets` are the classes, `[N]`. For a contrast they are each class and the others, `[N, 1 +
    K]`. For a score that is a function they are what it holds, `[N, …]`, with at least two
    dimensions. All are the `targets` of changed copies of the images.
    """

    scores: paddle.Tensor
    targets: paddle.Tensor
    logits: paddle.Tensor | None


def score_outputs(
    network: paddle.nn.Layer,
    outputs: Any,
    images: paddle.Tensor,
    targets: Any = None,
    score: Score = "logit",
) -> Scored:
    """The scores of images for which a network has returned `outputs`.

    Raises `ModelError` or `ScoreError` for what is no score, `TargetError` for wrong classes.
    """
    if callable(score):
        return Scored(*function_scores(score, outputs, images, targets), None)
    logits = read_logits(outputs, images)
    check_or_warn(network, logits, images)
    if isinstance(score, Contrast):
        classes = contrasted(targets, logits, score)
        return Scored(contrast_scores(logits, classes, score.weight), classes, logits)
    chosen = resolve_targets(targets, logits)
    return Scored(class_scores(logits, chosen, score, activation_of(network)), chosen, logits)


@contextmanager
def score_function(network: paddle.nn.Layer) -> Iterator[Callable]:
    """Yield a function `(images, targets, score) → (scores [N], targets)`, without gradients.

    The network is frozen inside the block. The targets are those of `Scored`.
    """
    of_logits = CompiledForward(network, logits_of)
    of_all = CompiledForward(network, _only_output)

    def score_of(
        images: paddle.Tensor, targets: Any = None, score: Score = "logit"
    ) -> tuple[paddle.Tensor, paddle.Tensor]:
        check_images(images)
        outputs = (of_all if callable(score) else of_logits)(images)
        return score_outputs(network, outputs, images, targets, score)[:2]

    with frozen(network), fast_layers(), paddle.no_grad():
        yield score_of


def _only_output(output: Any) -> paddle.Tensor | None:
    """The output of a network if it is a single tensor, which a compiled copy can return."""
    return output if isinstance(output, paddle.Tensor) and output.ndim > 1 else None
