"""Give an operation of a network another backward pass, inside a `with` block.

The methods of this folder send a multiplier m back through the network, in place of the gradient.
The relevance of a tensor x is x · m. So sums, concatenations, average pooling and views share out
the relevance by their usual gradient, and only the other operations need a rule.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import paddle
from paddle.autograd import PyLayer

from ...core.errors import ModelError
from ...network.fast import fast_layers
from ...network.gradients import ForwardPass, gradients_or_none
from ...network.hooks import frozen
from ...network.outputs import tensors_in

Term = tuple[paddle.Tensor, Any]  # a tensor, and what the multiplier is multiplied with for it


@dataclass
class _Carriage:
    value: paddle.Tensor
    factors: list[Any]


class _Carried(PyLayer):
    @staticmethod
    def forward(context: Any, carriage: _Carriage, *tensors: paddle.Tensor) -> paddle.Tensor:
        context.factors = carriage.factors
        return carriage.value

    @staticmethod
    def backward(context: Any, multiplier: paddle.Tensor) -> Any:
        sent = tuple(multiplier * factor for factor in context.factors)
        return sent if len(sent) > 1 else sent[0]


def carried(value: paddle.Tensor, terms: Sequence[Term]) -> paddle.Tensor:
    """A tensor with this value, whose multiplier goes to each term, times the factor of the term.

    Value and factors are constants. Terms without a gradient are left out.
    """
    live = [(tensor, factor) for tensor, factor in terms if not tensor.stop_gradient]
    value = value.detach().clone()
    if not live:
        return value
    return _Carried.apply(
        _Carriage(value, [factor for _, factor in live]), *(tensor for tensor, _ in live)
    )


def is_live(tensor: Any) -> bool:
    """Whether a multiplier can come back to this tensor, in a network that is not compiled."""
    return (
        isinstance(tensor, paddle.Tensor)
        and not tensor.stop_gradient
        and paddle.in_dynamic_mode()
        and paddle.is_grad_enabled()
    )


@contextmanager
def replaced(functions: Mapping[tuple[Any, str], Callable]) -> Iterator[None]:
    """Inside the block, set `functions`: places `(module, name)` and `original → function`."""
    before = {where: getattr(*where) for where in functions}
    try:
        for where, replace in functions.items():
            setattr(*where, replace(before[where]))
        yield
    finally:
        for where, function in before.items():
            setattr(*where, function)


def operations(*names: str) -> list[tuple[Any, str]]:
    """The places of operations that layers and functions of `paddle.nn` both call."""
    modules = (paddle._C_ops, paddle._legacy_C_ops)  # BatchNorm's `act` uses the second
    return [(module, name) for module in modules for name in names if hasattr(module, name)]


# Where two tensors are multiplied: `paddle.multiply`, and `*` with a tensor on either side.
PRODUCTS: list[tuple[Any, str]] = [
    (paddle._C_ops, "multiply"),
    (paddle.Tensor, "__mul__"),
    (paddle.Tensor, "__rmul__"),
]


def factors(given: Sequence[Any], options: dict[str, Any]) -> tuple[Any, Any]:
    """The factors of a product, given by place or as `x` and `y`, which `options` loses."""
    named = (options.pop(name) for name in ("x", "y") if name in options)
    a, b = *given, *named
    return a, b


# Operations that are linear, or pick one of their inputs. Their gradient shares out the relevance.
# With an asterisk: only if a single one of the inputs depends on the image.
_LINEAR = """
    accumulation add addn subtract scale concat stack split splitwithnum slice stridedslice
    reshape flatten flattencontiguousrange viewshape transpose squeeze unsqueeze mean meanall sum
    pool2d maxpool2dwithindex pad pad3d dropout cast assign clone expand expandas tile
    matmul* matmulwithflatten* einsum* multiply* divide* divscale conv2d depthwiseconv2d
    bilinearinterp nearestinterp bicubicinterp roll flip unbind channelshuffle pixelshuffle
    gather gathernd indexselect takealongaxis
"""
LINEAR = set(_LINEAR.split())

# For each network, the methods whose rules reach every operation before certain outputs.
REACHED: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()


def check_reach(
    method: str,
    network: paddle.nn.Layer,
    passed: ForwardPass,
    images: paddle.Tensor,
    rules: AbstractContextManager,
    known: Sequence[str] = (),
) -> bool:
    """Do a pass inside `rules`. Raise `ModelError` if it holds an operation without a rule.

    Only outputs on which the scores of `passed` depend count. It must have kept the output of the
    network. `known`: operations besides `LINEAR` whose gradient is the rule. Returns False if
    there was nothing left to check.
    """
    read = _outputs_read(passed)
    if (method, read) in REACHED.get(network, ()):
        return False
    with frozen(network), fast_layers(), paddle.enable_grad():
        images = images.detach()
        images.stop_gradient = False
        with rules:
            outputs = network(images)
        every = tensors_in(outputs)
        floats = [every[place] for place in read if not every[place].stop_gradient]
        if floats:
            total = paddle.add_n([out.sum().astype("float32") for out in floats])
            unknown = _unknown(total, LINEAR.union(known))
            total.backward()  # Paddle keeps the graph until then
            if unknown:
                raise ModelError(_refusal(method, unknown[0]))
    REACHED.setdefault(network, set()).add((method, read))
    return True


def _outputs_read(passed: ForwardPass) -> tuple[int, ...]:
    """The places of the outputs of the network on which the scores depend."""
    outputs = tensors_in(passed.calls[-1][1])
    if len(outputs) < 2:
        return tuple(range(len(outputs)))
    slopes = gradients_or_none(passed.scores, outputs, again=True)
    return tuple(place for place, slope in enumerate(slopes) if slope is not None)


def _unknown(total: paddle.Tensor, known: set[str]) -> list[str]:
    """The names of the recorded operations that are not known."""
    unknown, seen, waiting = [], set(), [total.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        inputs = [each for each in node.next_functions if each is not None]
        waiting.extend(inputs)
        name = node.name().replace("GradNode", "").replace("Compat", "").replace("Final", "")
        name = name.lower()
        divisor = name == "divide" and node.next_functions[-1] is not None
        single = len(inputs) == 1 and not divisor and f"{name}*" in known
        if not (name in known or single or name.startswith("pylayer")):
            unknown.append(name)
    return unknown


def _refusal(method: str, operation: str) -> str:
    if operation in ("softmax", "layernorm", "matmul", "einsum"):
        return (
            f"{method} has no rule for {operation} as transformers use it; use "
            "transformer_attribution, or for a network without attention integrated_gradients"
        )
    products = {"multiply": "a product of two", "divide": "a quotient of"}
    what = f"the operation {operation}"
    if operation in products:
        what = f"{products[operation]} feature maps"
    return (
        f"{method} has no rule for {what} (or it works in place, or is compiled); "
        "use integrated_gradients"
    )
