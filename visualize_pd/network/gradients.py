"""Gradients of scores. No other module calls `paddle.grad`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from functools import partial
from typing import Any, NamedTuple

import paddle

from ..core.errors import ModelError
from .fast import class_logits, fast_layers, gradient_of_logits
from .finite import check_all_finite
from .hooks import Calls, capture_outputs, frozen
from .relu_rules import REACHED, check_reach, relu_rule
from .scores import Score, check_images, score_outputs
from .scores.functions import check_connected

_retained: ContextVar[bool] = ContextVar("graphs are retained", default=False)


class ForwardPass(NamedTuple):
    """A recorded forward pass. Gradients of `scores` with respect to its tensors can be taken.

    `targets` are those of `Scored`. `logits` are None if the score is a function.
    """

    images: paddle.Tensor
    logits: paddle.Tensor | None
    targets: paddle.Tensor
    scores: paddle.Tensor
    calls: Calls


def record_forward(
    network: paddle.nn.Layer,
    images: paddle.Tensor,
    targets: Any = None,
    *,
    score: Score = "logit",
    relu: str | None = None,
    layers: Sequence[paddle.nn.Layer] = (),
    rules: AbstractContextManager | None = None,
) -> ForwardPass:
    """Do a forward pass from which gradients can be taken. Keep the outputs of `layers`.

    `score`: logit, probability or log_probability of the class, a contrast of classes, or a
    function `(outputs, images) → [N]` of what the network returns. `relu`: None, guided or
    deconvnet. The score itself follows the usual derivative. `rules`: a block that gives operations
    another backward pass.

    Raises `ImageError` for images that are not a batch, and `TargetError` for a class that the
    network does not have. Raises `ModelError` if the output is not logits, and if the rule `relu`
    cannot reach every ReLU. Raises `ScoreError` for a function that gives no scores.
    """
    check_images(images)
    _check_layers(network)
    with frozen(network), fast_layers(), paddle.enable_grad():
        images = images.detach()
        images.stop_gradient = False
        with relu_rule(relu), rules or nullcontext(), capture_outputs(*layers) as calls:
            outputs = network(images)
        scored = score_outputs(network, outputs, images, targets, score)
    if callable(score):
        check_connected(score, scored.scores)
    if relu and relu not in REACHED.get(network, ()):
        check_reach(network, images, relu)
    return ForwardPass(images, scored.logits, scored.targets, scored.scores, calls)


def _check_layers(network: paddle.nn.Layer) -> None:
    """Raise `ModelError` for a compiled network. Paddle gives no gradient for its input."""
    for layer in network.sublayers(include_self=True):
        compiled = type(layer.forward).__name__.endswith("StaticFunction")
        if compiled or type(layer).__name__.endswith("TranslatedLayer"):
            raise ModelError(
                "the network is compiled (paddle.jit), so it gives no gradient for the image; "
                "use the network as it was before paddle.jit"
            )


def differentiate(scores: paddle.Tensor, tensors: Sequence[paddle.Tensor]) -> list[paddle.Tensor]:
    """∂ Σ scores / ∂ tensor for each tensor. It is zero if the scores do not depend on it.

    Raises `ModelError` for a gradient that is NaN or infinite.
    """
    slopes = [
        paddle.zeros_like(tensor).detach() if slope is None else slope
        for tensor, slope in zip(tensors, gradients_or_none(scores, tensors))
    ]
    check_slopes(slopes)
    return slopes


def check_slopes(slopes: Sequence[paddle.Tensor]) -> None:
    """Raise `ModelError` for gradients that are NaN or infinite, as `check_all_finite` does."""
    if slopes:
        error = "the gradient of the score holds numbers that are not finite"
        check_all_finite(list(slopes), ModelError(error))


def gradients_or_none(
    scores: paddle.Tensor, tensors: Sequence[paddle.Tensor], again: bool = False
) -> list[paddle.Tensor | None]:
    """As `differentiate`, but None in place of zeros.

    With `again`, further gradients of the same scores can be taken later.
    """
    again = again or _retained.get()
    reached = {id(tensor): tensor for tensor in tensors if not tensor.stop_gradient}
    found: dict[int, Any] = {}
    if reached and not scores.stop_gradient:
        with paddle.enable_grad():
            slopes = paddle.grad(
                scores.sum(), list(reached.values()), retain_graph=again, allow_unused=True
            )
        found = dict(zip(reached, slopes))
    return [found.get(id(tensor)) for tensor in tensors]


@contextmanager
def retained_graphs() -> Iterator[None]:
    """Inside the block, further gradients of every pass can be taken later."""
    token = _retained.set(True)
    try:
        yield
    finally:
        _retained.reset(token)


def input_gradient(
    network: paddle.nn.Layer,
    images: paddle.Tensor,
    targets: Any = None,
    *,
    score: Score = "logit",
    relu: str | None = None,
) -> paddle.Tensor:
    """The gradient ∂S_c/∂I, `[N, C, H, W]`, of the score of each image's class.

    It takes one forward pass and one backward pass. `targets`: an int, N ints, or None for each
    image's top-1 class. If the score does not depend on the image, the gradient is zero. Options
    and errors are those of `record_forward`.
    """

    if relu or score != "logit":
        return _own_gradient(network, images, targets, score, relu)
    check_images(images)
    plain = partial(_own_gradient, network, images, targets)
    gradient = gradient_of_logits(network, images, targets, plain)
    check_slopes([gradient])
    return gradient


def _own_gradient(
    network: paddle.nn.Layer,
    images: paddle.Tensor,
    targets: Any,
    score: Score = "logit",
    relu: str | None = None,
) -> paddle.Tensor:
    """As `input_gradient`, by Paddle's own backward pass."""
    passed = record_forward(network, images, targets, score=score, relu=relu)
    return differentiate(passed.scores, [passed.images])[0]


def logits_by_program(
    network: paddle.nn.Layer, images: paddle.Tensor, targets: Any
) -> paddle.Tensor | None:
    """The logit of each image's class, `[N]`, from which gradients go back to what made the images.

    One program computes the logits and the gradient. The result is None if the network has none.
    """
    return class_logits(network, images, targets, partial(_own_gradient, network, images, targets))
