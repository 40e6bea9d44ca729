"""The only caller of `paddle.grad`."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any, NamedTuple

import paddle

from .errors import ModelError
from .features import Calls, is_maps, unruled_relus
from .hooks import capture, frozen, relu_rule
from .quick import quick_layers
from .targets import check_images, class_scores, read_logits, resolve_targets


class Pass(NamedTuple):
    """A recorded forward pass: gradients can be taken of `scores`, with respect to its tensors."""

    images: paddle.Tensor
    logits: paddle.Tensor
    targets: paddle.Tensor
    scores: paddle.Tensor
    calls: Calls


def record(
    network: paddle.nn.Layer,
    images: paddle.Tensor,
    targets: Any = None,
    *,
    score: str = "logit",
    relu: str | None = None,
    layers: Sequence[paddle.nn.Layer] = (),
) -> Pass:
    """Run a network forwards for gradients, and keep what `layers` return.

    `score`: logit, probability or log_probability; `relu`: None, guided or deconvnet. Raises
    `ImageError` for images that are not a batch, `TargetError` for a class that the network does
    not have, `ModelError` for other outputs than logits and for a ReLU that a rule cannot reach.
    """
    check_images(images)
    _check_layers(network)
    with (
        frozen(network),
        quick_layers(),
        paddle.enable_grad(),
        relu_rule(relu),
        capture(*layers) as calls,
    ):
        images = images.detach()
        images.stop_gradient = False
        logits = read_logits(network(images), images)
        chosen = resolve_targets(targets, logits)
        scores = class_scores(logits, chosen, score)
    if relu and relu not in _REACHED.get(network, ()):
        _check_reach(network, images, relu)
    return Pass(images, logits, chosen, scores, calls)


def _check_layers(network: paddle.nn.Layer) -> None:
    """Raise `ModelError` for a compiled network: Paddle takes no gradient of its input."""
    for layer in network.sublayers(include_self=True):
        compiled = type(layer.forward).__name__.endswith("StaticFunction")
        if compiled or type(layer).__name__.endswith("TranslatedLayer"):
            raise ModelError(
                "the network is compiled (paddle.jit): no gradient comes back to the image; "
                "give the network as it was before that"
            )


# The rules that are known to reach every ReLU of a network.
_REACHED: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()


def _check_reach(network: paddle.nn.Layer, images: paddle.Tensor, relu: str) -> None:
    """Raise `ModelError` for a ReLU that a rule cannot reach, by a pass of one image."""
    with frozen(network), paddle.enable_grad(), relu_rule(relu) as ruled:
        image = images[:1].detach()
        image.stop_gradient = False
        logits = read_logits(network(image), image)
        unruled = unruled_relus(logits, ruled)
        if not logits.stop_gradient:
            logits.sum().backward()
    if unruled:
        raise ModelError(
            f"the {relu} rule does not reach every ReLU: one is applied in place or in a compiled "
            "part; use paddle.nn.ReLU or paddle.nn.functional.relu there"
        )
    _REACHED.setdefault(network, set()).add(relu)


def differentiate(scores: paddle.Tensor, tensors: Sequence[paddle.Tensor]) -> list[paddle.Tensor]:
    """∂ Σ scores / ∂ each tensor; zeros for one that the scores do not depend on."""
    return [
        paddle.zeros_like(tensor).detach() if slope is None else slope
        for tensor, slope in zip(tensors, _slopes(scores, tensors))
    ]


def _slopes(
    scores: paddle.Tensor, tensors: Sequence[paddle.Tensor], again: bool = False
) -> list[paddle.Tensor | None]:
    """None for a tensor that the scores do not depend on; `again`: it can be asked once more."""
    reached = {id(tensor): tensor for tensor in tensors if not tensor.stop_gradient}
    found: dict[int, Any] = {}
    if reached and not scores.stop_gradient:
        with paddle.enable_grad():
            slopes = paddle.grad(
                scores.sum(), list(reached.values()), retain_graph=again, allow_unused=True
            )
        found = dict(zip(reached, slopes))
    return [found.get(id(tensor)) for tensor in tensors]


class Maps(NamedTuple):
    """Feature maps, the layer that returned them, and ∂ Σ scores / ∂ maps."""

    layer: paddle.nn.Layer
    maps: paddle.Tensor
    slope: paddle.Tensor


def last_maps(calls: Calls, scores: paddle.Tensor) -> Maps:
    """The last convolutional feature maps that the scores depend on.

    That is the last output as large as that of the last convolution, so after its activation,
    normalisation and shortcut, and before any pooling. Raises `ModelError` where there is none.
    """
    every = [(layer, out) for layer, out in calls if is_maps(out)]
    spatial = [(layer, out) for layer, out in every if out.shape[2] * out.shape[3] > 1]
    convolved = [(layer, out) for layer, out in spatial if isinstance(layer, paddle.nn.Conv2D)]
    candidates = [call for calls in (convolved, spatial, every) for call in reversed(calls)]
    if not candidates:
        raise ModelError(
            "the network has no convolutional feature maps for this; try another method"
        )

    def as_large(last: paddle.Tensor) -> list[tuple[paddle.nn.Layer, paddle.Tensor]]:
        begin = next(place for place, (_, out) in enumerate(every) if out is last)
        return [(layer, out) for layer, out in every[begin:] if out.shape[2:] == last.shape[2:]]

    for _, last in candidates:
        alike = as_large(last)
        slopes = _slopes(scores, [out for _, out in alike], again=True)
        if slopes[0] is not None:
            return [
                Maps(layer, out, slope)
                for (layer, out), slope in zip(alike, slopes)
                if slope is not None
            ][-1]
    layer, maps = as_large(candidates[0][1])[-1]
    return Maps(layer, maps, paddle.zeros_like(maps))


def input_gradient(
    network: paddle.nn.Layer,
    images: paddle.Tensor,
    targets: Any = None,
    *,
    score: str = "logit",
    relu: str | None = None,
) -> paddle.Tensor:
    """∂S_c/∂I, `[N, C, H, W]`, of each image's class, in one pass each way.

    `targets`: an int, N ints, or None for each image's top-1 class. Where the score does not
    depend on the image the gradient is zero. Options and errors as in `record`.
    """
    passed = record(network, images, targets, score=score, relu=relu)
    (gradient,) = differentiate(passed.scores, [passed.images])
    return gradient
