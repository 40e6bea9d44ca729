"""How a gradient passes a ReLU: by guided backpropagation or by the rule of deconvnets."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import paddle
from paddle.autograd import PyLayer

from ..core.errors import ModelError
from .hooks import frozen
from .scores import read_logits


class _Deconvnet(PyLayer):
    """The gradient passes where it is positive, whatever the ReLU did forwards.

    Made once: a class made in each call keeps a whole pass's memory alive until it is collected.
    """

    @staticmethod
    def forward(context: Any, x: paddle.Tensor, rectify: Callable) -> paddle.Tensor:
        return rectify(x)

    @staticmethod
    def backward(context: Any, gradient: paddle.Tensor) -> paddle.Tensor:
        return _positive(gradient)


def _guided(x: paddle.Tensor, rectify: Callable) -> paddle.Tensor:
    """The gradient passes where it is positive and the ReLU was open."""
    y = rectify(x)
    if not y.stop_gradient:
        y.register_hook(_positive)
    return y


RELU_RULES: dict[str, Callable] = {"guided": _guided, "deconvnet": _Deconvnet.apply}


_RECTIFIERS = {
    (operations, name): getattr(operations, name)
    for operations in (paddle._C_ops, paddle._legacy_C_ops)  # the second: `act` of a BatchNorm
    for name in ("relu", "relu6")
}


_positive = _RECTIFIERS[paddle._C_ops, "relu"]


@contextmanager
def relu_rule(rule: str | None) -> Iterator[list[paddle.Tensor]]:
    """Within the block every ReLU and ReLU6 goes backwards by a rule, None for its derivative.

    Layers and functions of `paddle.nn` alike end in the operations that are replaced here.
    Yields what they return in the block, as it comes.
    """
    ruled: list[paddle.Tensor] = []
    if rule is None:
        yield ruled
        return
    before = {where: getattr(*where) for where in _RECTIFIERS}

    def ruled_by(rectify: Callable) -> Callable:
        def rectified(x: paddle.Tensor) -> paddle.Tensor:
            if not paddle.in_dynamic_mode():  # while a network is being compiled
                return rectify(x)
            y = RELU_RULES[rule](x, rectify)
            ruled.append(y)
            return y

        return rectified

    try:
        for (operations, name), rectify in _RECTIFIERS.items():
            setattr(operations, name, ruled_by(rectify))
        yield ruled
    finally:
        for (operations, name), operation in before.items():
            setattr(operations, name, operation)


# The rules that are known to reach every ReLU of a network.
REACHED: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()


def check_reach(network: paddle.nn.Layer, images: paddle.Tensor, relu: str) -> None:
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
    REACHED.setdefault(network, set()).add(relu)


def unruled_relus(logits: paddle.Tensor, ruled: Sequence[paddle.Tensor]) -> list[str]:
    """Recorded operations that keep a ReLU from `hooks.relu_rule`, which returned the others.

    Paddle never frees a graph that was asked for its nodes; `logits.backward()` empties it.
    """
    known = {output.grad_fn for output in ruled}
    found, seen, waiting = [], set(), [logits.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        waiting.extend(node.next_functions)
        kind = node.name().lower().replace("compat", "")  # "reluGradNodeCompat": an older way
        is_relu = kind in ("relugradnode", "relu6gradnode") and node not in known
        if is_relu or "RunProgram" in node.name():
            found.append(node.name())
    return found
