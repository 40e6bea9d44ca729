"""The pass of layer-wise relevance propagation: which rule each operation of a network gets."""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import paddle
from paddle.nn import functional
from paddle.nn.functional import conv

from ...core.errors import ModelError
from .carried import PRODUCTS, carried, factors, is_live, operations, replaced
from .rules import Affine, Composite, Rule, Settings

# Activations with f(0) = 0. All relevance passes: R / x = R / f(x) · f(x) / x. For a ReLU and a
# leaky ReLU that is the gradient.
_PASSED = "relu6 hardswish swish silu mish gelu elu celu selu tanh hardtanh softsign"
PASSED = _PASSED.split()
GATES = ["sigmoid", "hardsigmoid"]  # they are constants: the signal that they weight gets all
BY_GRADIENT = ["relu", "leakyrelu", "prelu", "max", "amax"]

# For each network, the weights of the layers whose output always goes into a BatchNorm.
MERGED: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()
RECENT = 8  # the convolutions whose BatchNorm may still follow


class Propagation:
    """One pass with the rules of a composite.

    `merged` are the weights of layers whose own rule need not be computed, because a BatchNorm
    follows. After the pass, `followed` and `alone` are the weights with and without BatchNorm.
    """

    def __init__(
        self, composite: Composite, settings: Settings, merged: Sequence[paddle.Tensor] = ()
    ):
        self.composite, self.settings = composite, settings
        self.merged = {id(weight) for weight in merged}
        self.recent: deque = deque(maxlen=RECENT)
        self.followed: dict[int, paddle.Tensor] = {}
        self.alone: dict[int, paddle.Tensor] = {}
        self.begun = self.gated = False
        self.waiting: set[int] = set()

    @contextmanager
    def rules(self) -> Iterator[None]:
        """Inside the block, the operations of a network follow the rules."""
        functions: dict[tuple[Any, str], Callable] = {
            (conv, "_conv_nd"): self._convolution,
            (functional, "linear"): self._linear,
            (paddle._C_ops, "batch_norm"): self._batch_norm,
        }
        functions.update(dict.fromkeys(operations(*PASSED), _passed))
        functions.update(dict.fromkeys(operations(*GATES), self._gate))
        functions.update(dict.fromkeys(PRODUCTS, _product))
        with replaced(functions):
            yield
        if self.waiting:
            raise ModelError(
                "lrp: a layer is followed by a BatchNorm in one pass but not in another; "
                "use integrated_gradients"
            )

    def unconnected(self, scores: paddle.Tensor) -> ModelError | None:
        """The error if the relevance of `scores` ends at a sigmoid."""
        return _sigmoid_error() if self.gated and scores.stop_gradient else None

    def always_followed(self) -> list[paddle.Tensor]:
        return [weight for key, weight in self.followed.items() if key not in self.alone]

    def _convolution(self, original: Callable) -> Callable:
        def convolution(x: Any, weight: Any, bias: Any = None, *others: Any, **options: Any) -> Any:
            layer = Affine(lambda x, w, b: original(x, w, b, *others, **options), weight, bias)
            return self._ruled(x, layer, self.composite.convolution)

        return convolution

    def _linear(self, original: Callable) -> Callable:
        def linear(x: Any, weight: Any, bias: Any = None, *others: Any, **options: Any) -> Any:
            layer = Affine(lambda x, w, b: original(x, w, b, *others, **options), weight, bias)
            return self._ruled(x, layer, self.composite.linear)

        return linear

    def _ruled(self, x: paddle.Tensor, layer: Affine, rule: Rule) -> paddle.Tensor:
        if not is_live(x):
            if self.gated and paddle.in_dynamic_mode():
                raise _sigmoid_error()
            return layer.run(x, layer.weight, layer.bias)
        if not self.begun:
            self.begun, rule = True, self.composite.first
        with paddle.no_grad():
            z = layer.run(x.detach(), layer.weight, layer.bias)
        key = id(layer.weight)
        if key in self.merged:
            self.waiting.add(key)
        else:
            self.alone[key] = layer.weight
            z = carried(z, rule(x, layer, z, self.settings))
        self.recent.append((z, x, layer, rule))
        return z

    def _batch_norm(self, original: Callable) -> Callable:
        def batch_norm(y: Any, *parameters: Any, **options: Any) -> Any:
            found = next((each for each in self.recent if each[0] is y), ())
            if not (found or is_live(y)):
                return original(y, *parameters, **options)
            with paddle.no_grad():
                outputs = original(y.detach(), *parameters, **options)
            factor, shift = _diagonal(parameters[:4], parameters[6])
            if found:
                _, x, layer, rule = found
                self._note_merged(layer.weight)
                layer = _merged(layer, factor, shift)
            else:
                x, rule = y, self.composite.convolution
                layer = _diagonal_layer(factor, shift, y.ndim, parameters[7])
            z = carried(outputs[0], rule(x, layer, outputs[0], self.settings))
            return (z, *outputs[1:])

        return batch_norm

    def _note_merged(self, weight: paddle.Tensor) -> None:
        self.followed[id(weight)] = weight
        if id(weight) in self.merged:
            self.waiting.discard(id(weight))
        else:
            self.alone.pop(id(weight), None)

    def _gate(self, original: Callable) -> Callable:
        def gate(x: Any, *others: Any, **options: Any) -> Any:
            if not is_live(x):
                return original(x, *others, **options)
            self.gated = True
            return original(x.detach(), *others, **options)

        return gate


def _passed(original: Callable) -> Callable:
    def activation(x: Any, *others: Any, **options: Any) -> Any:
        if not is_live(x):
            return original(x, *others, **options)
        constant = x.detach()
        y = original(constant, *others, **options)
        zero = (constant == 0).astype(y.dtype)  # where y is 0 too, and so is the ratio
        return carried(y, [(x, y / (constant + zero))])

    return activation


def _product(original: Callable) -> Callable:
    """Both factors get half of the relevance (Achtibat et al. 2024, AttnLRP)."""

    def product(*given: Any, **options: Any) -> Any:
        a, b = factors(given, options)
        if not (is_live(a) and is_live(b)):
            return original(a, b, **options)
        both = original(a, b.detach()) + original(b, a.detach())
        return both * 0.5

    return product


def _sigmoid_error() -> ModelError:
    return ModelError(
        "lrp takes a sigmoid for a gate, which gets no relevance, but this network computes its "
        "score from one alone; use integrated_gradients"
    )


def _diagonal(parameters: Sequence[Any], epsilon: float) -> tuple[paddle.Tensor, paddle.Tensor]:
    """A BatchNorm in evaluation mode as factor · y + shift, each `[C]`."""
    mean, variance, scale, bias = parameters
    factor = paddle.rsqrt(variance.detach() + epsilon)
    factor = factor if scale is None else factor * scale.detach()
    shift = -mean.detach() * factor
    return factor, shift if bias is None else shift + bias.detach()


def _merged(layer: Affine, factor: paddle.Tensor, shift: paddle.Tensor) -> Affine:
    """A convolution or a linear layer together with the BatchNorm after it."""
    weight = layer.weight.detach()
    if weight.ndim > 2:
        weight = weight * factor.reshape([-1] + [1] * (weight.ndim - 1))
    else:
        weight = weight * factor
    bias = shift if layer.bias is None else shift + layer.bias.detach() * factor
    return Affine(layer.run, weight, bias)


def _diagonal_layer(
    factor: paddle.Tensor, shift: paddle.Tensor, dimensions: int, data_format: str
) -> Affine:
    """A BatchNorm by itself."""
    shape = [1] * dimensions
    shape[1 if data_format.startswith("NC") else -1] = -1

    def run(x: paddle.Tensor, weight: paddle.Tensor, bias: Any) -> paddle.Tensor:
        return x * weight if bias is None else x * weight + bias

    return Affine(run, factor.reshape(shape), shift.reshape(shape))
