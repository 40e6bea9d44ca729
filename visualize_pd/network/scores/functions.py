"""Scores that are functions `(outputs, images) → [N]` of what a network returns."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Union

import paddle

from ...core.errors import ScoreError, TargetError, VisualizeError
from ..finite import check_all_finite
from .contrast import Contrast

# logit, probability or log_probability of a class; a class rather than others; or a function
# `(outputs, images) → [N]`.
Score = Union[str, Contrast, Callable[[Any, paddle.Tensor], paddle.Tensor]]


class HeldScore:
    """A score that keeps something of an image fixed while copies of the image are changed.

    `hold` finds it in the outputs for the images themselves: for example the mask of a segment.
    `of` is the score of changed copies. It gets what was held for the image of each copy. As a
    plain function, a score holds what it finds in the same outputs.
    """

    title = ""
    has_place = False  # whether what is held lies at a place of the image

    def hold(self, outputs: Any, images: paddle.Tensor) -> paddle.Tensor:
        """What stays fixed for each image: a tensor `[N, …]` of at least two dimensions."""
        raise NotImplementedError

    def of(self, outputs: Any, images: paddle.Tensor, held: paddle.Tensor) -> paddle.Tensor:
        """The scores `[N]`. `held` has a row for each image."""
        raise NotImplementedError

    def __call__(self, outputs: Any, images: paddle.Tensor) -> paddle.Tensor:
        return self.of(outputs, images, self.hold(outputs, images))


def score_name(score: Score) -> str:
    """The name of a score in captions and sentences."""
    while isinstance(score, partial):
        score = score.func
    if isinstance(score, str):
        return score
    name = getattr(score, "title", None) or getattr(score, "__name__", None)
    return str(name or type(score).__name__)


def function_scores(
    score: Callable, outputs: Any, images: paddle.Tensor, targets: Any = None
) -> tuple[paddle.Tensor, paddle.Tensor]:
    """The scores `[N]` that a function gives, checked, and what it holds fixed, `[N, …]`.

    `targets` is None, or what an earlier call has returned as held. Raises `TargetError` for
    classes, and `ScoreError` if the function fails or returns something else than finite scores.
    """
    held = targets
    if targets is None:
        with paddle.no_grad():
            held = _held(score, outputs, images)
    elif not isinstance(targets, paddle.Tensor) or targets.ndim < 2:
        raise TargetError(
            f"score {score_name(score)} does not read targets; leave them out, and give the class "
            "to the score if it needs one"
        )
    if isinstance(score, HeldScore):
        scores = _called(score, score.of, outputs, images, held)
    else:
        scores = _called(score, score, outputs, images)
    _check(score, scores, images)
    return scores, held


def check_connected(score: Callable, scores: paddle.Tensor) -> None:
    """Raise `ScoreError` for scores from which no gradient leads back to the images."""
    if scores.stop_gradient:
        raise ScoreError(
            f"score {score_name(score)} gives numbers without a gradient for the images; compute "
            "them from the outputs with Paddle's operations, without detach() or numpy()"
        )


def _held(score: Callable, outputs: Any, images: paddle.Tensor) -> paddle.Tensor:
    if isinstance(score, HeldScore):
        return _called(score, score.hold, outputs, images).detach()
    return paddle.zeros([len(images), 1])


def _called(score: Callable, function: Callable, *arguments: Any) -> Any:
    try:
        return function(*arguments)
    except VisualizeError:
        raise
    except Exception as error:  # it is the user's own code
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        reason = next((line for line in lines if "Error:" in line), lines[-1] if lines else "")
        raise ScoreError(
            f"score {score_name(score)} failed: {type(error).__name__}: {reason}"
        ) from error


def _check(score: Callable, scores: Any, images: paddle.Tensor) -> None:
    name = f"score {score_name(score)} must return a tensor of floats [N]"
    if not isinstance(scores, paddle.Tensor):
        raise ScoreError(f"{name}, not a {type(scores).__name__}")
    if list(scores.shape) != [len(images)] or not paddle.is_floating_point(scores):
        kind = str(scores.dtype).rpartition(".")[2]
        raise ScoreError(f"{name}, here [{len(images)}], not {kind} {list(scores.shape)}")
    error = f"score {score_name(score)} gave numbers that are not finite"
    check_all_finite([scores], ScoreError(error))
