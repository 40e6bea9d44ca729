"""How the output of a network is read: which head of it counts, and which activation follows.

Both facts are kept beside the network, because every method gets only a plain `paddle.nn.Layer`.
The head is picked by a forward hook, so that the names of layers and parameters stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from weakref import WeakKeyDictionary

import paddle

from ..core.checks import look_up
from ..core.errors import ModelError

ACTIVATIONS = ("softmax", "sigmoid")
_OTHER: WeakKeyDictionary[paddle.nn.Layer, str] = WeakKeyDictionary()  # than softmax


def set_activation(network: paddle.nn.Layer, activation: str) -> paddle.nn.Layer:
    """Say how the logits of a network become probabilities. Returns the network.

    `activation`: softmax, as for every network at first; or sigmoid for one whose classes do not
    exclude each other. Scores and measures that use probabilities follow it. A copy of the network
    has softmax again. Raises `ConfigError` for another name.
    """
    look_up("activation", activation, dict.fromkeys(ACTIVATIONS))
    _OTHER[network] = activation
    return network


def activation_of(network: paddle.nn.Layer) -> str:
    """The activation after the logits of a network: softmax or sigmoid."""
    return _OTHER.get(network, "softmax")


class PickedOutput:
    """A forward hook that returns one part of the output of a network."""

    def __init__(self, output: int | str):
        self.output = output

    def __call__(self, _network: paddle.nn.Layer, _inputs: Any, outputs: Any) -> Any:
        key = self.output
        if isinstance(outputs, Mapping):
            if key in outputs:
                return outputs[key]
            there = f"a dict with {', '.join(map(repr, outputs)) or 'no keys'}"
        elif isinstance(outputs, (tuple, list)):
            if isinstance(key, int) and 0 <= key < len(outputs):
                return outputs[key]
            there = f"{len(outputs)} outputs, 0 to {len(outputs) - 1}"
        else:
            there = "a single output; leave model.output out"
        raise ModelError(f"there is no output {key!r}: the network returns {there}")


def select_output(network: paddle.nn.Layer, output: int | str | None) -> paddle.nn.Layer:
    """Let a network with several heads return only one of them. Returns the network.

    `output`: a place in its tuple or list, from 0 on, or a key of its dict. None returns all of
    them again. A pass of the network raises `ModelError` if there is no such output.
    """
    hooks = network._forward_post_hooks
    for number in [number for number, hook in hooks.items() if isinstance(hook, PickedOutput)]:
        del hooks[number]
    if output is not None:
        network.register_forward_post_hook(PickedOutput(output))
    return network


def selected_output(network: paddle.nn.Layer) -> int | str | None:
    """The output that `select_output` has set, or None."""
    found = (hook for hook in network._forward_post_hooks.values())
    return next((hook.output for hook in found if isinstance(hook, PickedOutput)), None)


def tensors_in(output: Any) -> list[paddle.Tensor]:
    """All tensors in the output of a network or a layer, in order."""
    if isinstance(output, paddle.Tensor):
        return [output]
    if isinstance(output, Mapping):
        output = list(output.values())
    if isinstance(output, (tuple, list)):
        return [tensor for item in output for tensor in tensors_in(item)]
    return []


def each_tensor(output: Any, change: Callable) -> Any:
    """An output in which `change` has been applied to every tensor."""
    if isinstance(output, paddle.Tensor):
        return change(output)
    if isinstance(output, (tuple, list)):
        items = [each_tensor(item, change) for item in output]
        return type(output)(*items) if hasattr(output, "_fields") else type(output)(items)
    if isinstance(output, dict):
        return {key: each_tensor(item, change) for key, item in output.items()}
    return output
