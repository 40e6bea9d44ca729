"""Rules for the backward pass of a ReLU: guided backpropagation, or the rule of deconvnets."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import paddle
from paddle.autograd import PyLayer

from ..core.errors import ModelError
from .hooks import frozen
from .outputs import tensors_in


class _Deconvnet(PyLayer):
    """The gradient passes where it is positive. The output of the ReLU is ignored.

    The class is defined only once. A class that is defined in each call would keep the memory of a
    whole pass until it is garbage collected.
    """

    @staticmethod
    def forward(context: Any, x: paddle.Tensor, rectify: Callable) -> paddle.Tensor:
        return rectify(x)

    @staticmethod
    def backward(context: Any, gradient: paddle.Tensor) -> paddle.Tensor:
        return _positive(gradient)


def _guided(x: paddle.Tensor, rectify: Callable) -> paddle.Tensor:
    """The gradient passes where both the gradient and the input of the ReLU are positive."""
    y = rectify(x)
    if not y.stop_gradient:
        y.register_hook(_positive)
    return y


RELU_RULES: dict[str, Callable] = {"guided": _guided, "deconvnet": _Deconvnet.apply}
_RECTIFIERS = {
    (operations, name): getattr(operations, name)
    for operations in (paddle._C_ops, paddle._legacy_C_ops)  # BatchNorm's `act` uses the second
    for name in ("relu", "relu6")
}
_positive = _RECTIFIERS[paddle._C_ops, "relu"]


@contextmanager
def relu_rule(rule: str | None) -> Iterator[list[paddle.Tensor]]:
    """Inside the block, every ReLU and ReLU6 follows a rule in the backward pass.

    `rule` is guided or deconvnet. None means the usual derivative. Layers and functions of
    `paddle.nn` both call the operations that are replaced here. Yields a list, to which the output
    of each of these calls is added.
    """
    ruled: list[paddle.Tensor] = []
    if rule is None:
        yield ruled
        return
    before = {where: getattr(*where) for where in _RECTIFIERS}

    def ruled_by(rectify: Callable) -> Callable:
        def rectified(x: paddle.Tensor) -> paddle.Tensor:
            if not paddle.in_dynamic_mode():  # a network is being compiled
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


# For each network, the rules that are known to reach every ReLU of it.
REACHED: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()


def check_reach(network: paddle.nn.Layer, images: paddle.Tensor, relu: str) -> None:
    """Do a pass of one image. Raise `ModelError` if the rule does not reach every ReLU in it.

    A GELU is an error too. The rules are defined for ReLUs only.
    """
    with frozen(network), paddle.enable_grad(), relu_rule(relu) as ruled:
        image = images[:1].detach()
        image.stop_gradient = False
        floats = [out for out in tensors_in(network(image)) if not out.stop_gradient]
        total = paddle.add_n([out.sum().astype("float32") for out in floats]) if floats else None
        unruled = [] if total is None else unruled_relus(total, ruled)
        if total is not None:
            total.backward()
    if any("gelu" in name.lower() for name in unruled):
        raise ModelError(
            f"the {relu} rule is for ReLUs, and the network has GELUs, for which there is no such "
            "rule; use gradient, smooth_grad or integrated_gradients"
        )
    if unruled:
        raise ModelError(
            f"the {relu} rule does not reach every ReLU: one of them works in place or is in a "
            "compiled part; use paddle.nn.ReLU or paddle.nn.functional.relu there"
        )
    REACHED.setdefault(network, set()).add(relu)


def unruled_relus(outputs: paddle.Tensor, ruled: Sequence[paddle.Tensor]) -> list[str]:
    """Names of the recorded operations that contain a ReLU which `relu_rule` has not reached.

    GELUs are among them.

    `ruled` holds the outputs of the ReLUs that it has reached. After this call Paddle keeps
    the graph in memory; `outputs.backward()` empties it.
    """
    known = {output.grad_fn for output in ruled}
    unruled, seen, waiting = [], set(), [outputs.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        waiting.extend(node.next_functions)
        kind = node.name().lower().replace("compat", "")  # older name: "reluGradNodeCompat"
        is_relu = kind in ("relugradnode", "relu6gradnode") and node not in known
        if is_relu or kind == "gelugradnode" or "RunProgram" in node.name():
            unruled.append(node.name())
    return unruled
