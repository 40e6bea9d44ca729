"""What is done to a network for the length of a `with` block, and undone after it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import paddle
from paddle.autograd import PyLayer

from .errors import ModelError


@contextmanager
def frozen(network: paddle.nn.Layer) -> Iterator[None]:
    """Evaluation mode, and no gradients for parameters; after it each is as it was.

    Frozen parameters save more than half of the backward pass.
    """
    modes = [(layer, layer.training) for layer in network.sublayers(include_self=True)]
    trainable = [p for p in network.parameters() if not p.stop_gradient]
    try:
        network.eval()
        for parameter in trainable:
            parameter.stop_gradient = True
        yield
    finally:
        for parameter in trainable:
            parameter.stop_gradient = False
        for layer, training in modes:
            layer.training = training


@contextmanager
def capture(*layers: paddle.nn.Layer) -> Iterator[list[tuple[paddle.nn.Layer, Any]]]:
    """Collect `(layer, what it returned)`, in the order in which calls end, in the block."""
    calls: list[tuple[paddle.nn.Layer, Any]] = []

    def note(layer: paddle.nn.Layer, _inputs: Any, out: Any) -> Any:
        calls.append((layer, out))

    handles = [layer.register_forward_post_hook(note) for layer in layers]
    try:
        yield calls
    finally:
        for handle in handles:
            handle.remove()


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


@dataclass
class _Call:
    layer: paddle.nn.Layer
    output: Any = None
    after: int = 0  # the number of calls that had begun when this one ended


class Rest:
    """What a network does after one call of a layer, so that altered outputs of it run alone.

    Made from one pass over `image`, `[1, C, H, W]`; `call`: which of the layer's calls. What had
    been called and had returned before it is not called again: what it returned stands in for it.
    """

    def __init__(
        self,
        network: paddle.nn.Layer,
        layer: paddle.nn.Layer,
        image: paddle.Tensor,
        call: int = -1,
    ):
        self.network, self.image = network, image
        self.calls: list[_Call] = []
        with _forwards(network, self._recorded):
            network(image)
        self.at = [i for i, made in enumerate(self.calls) if made.layer is layer][call]
        self.before = {i: self.calls[i].output for i in self._skipped()}
        for made in self.calls:
            made.output = None
        self.repeated: dict[int, Any] = {}
        self.count = 0

    def __call__(self, altered: paddle.Tensor) -> Any:
        """`[B, …]` outputs of the layer → what the network returns for them."""
        self.altered, self.cursor = altered, 0
        versions: list[int] = []
        _each(list(self.repeated.values()), lambda out: versions.append(out.inplace_version))
        if self.count != altered.shape[0] or any(versions):  # or the network wrote into one
            self.count = altered.shape[0]
            self.repeated = {i: self._repeat(output) for i, output in self.before.items()}
        with _forwards(self.network, self._replayed):
            return self.network(self._repeat(self.image))

    def _skipped(self) -> Iterator[int]:
        index = 0
        while index < self.at:
            ended_before = self.calls[index].after <= self.at
            if ended_before:
                yield index
            index = self.calls[index].after if ended_before else index + 1

    def _repeat(self, output: Any) -> Any:
        def repeat(tensor: paddle.Tensor) -> paddle.Tensor:
            if tensor.ndim == 0 or tensor.shape[0] != 1:
                return tensor.clone()
            return tensor.expand([self.count, *tensor.shape[1:]])

        return _each(output, repeat)

    def _recorded(self, layer: paddle.nn.Layer, forward: Callable) -> Callable:
        def run(*inputs: Any, **options: Any) -> Any:
            call = _Call(layer)
            self.calls.append(call)
            output = forward(*inputs, **options)
            call.output = _each(output, paddle.Tensor.clone)
            call.after = len(self.calls)
            return output

        return run

    def _replayed(self, layer: paddle.nn.Layer, forward: Callable) -> Callable:
        def run(*inputs: Any, **options: Any) -> Any:
            index = self.cursor
            if index >= len(self.calls) or self.calls[index].layer is not layer:
                raise ModelError("the network takes another way through its layers the second time")
            if index == self.at:
                self.cursor = self.calls[index].after
                return self.altered
            if index in self.repeated:
                self.cursor = self.calls[index].after
                return self.repeated[index]
            self.cursor += 1
            return forward(*inputs, **options)

        return run


def _each(output: Any, change: Callable) -> Any:
    """An output with every tensor in it changed."""
    if isinstance(output, paddle.Tensor):
        return change(output)
    if isinstance(output, (tuple, list)):
        items = [_each(item, change) for item in output]
        return type(output)(*items) if hasattr(output, "_fields") else type(output)(items)
    return output


@contextmanager
def _forwards(network: paddle.nn.Layer, replace: Callable) -> Iterator[None]:
    """Within the block each layer's `forward` is what `replace(layer, forward)` makes of it."""
    layers = network.sublayers()
    own = [layer.__dict__.get("forward") for layer in layers]
    try:
        for layer in layers:
            layer.__dict__["forward"] = replace(layer, layer.forward)
        yield
    finally:
        for layer, forward in zip(layers, own):
            if forward is None:
                layer.__dict__.pop("forward", None)
            else:
                layer.__dict__["forward"] = forward
