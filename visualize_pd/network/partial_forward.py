"""Run only the part of a network that follows after one layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import paddle

from ..core.errors import ModelError
from .outputs import each_tensor


@dataclass
class _Call:
    layer: paddle.nn.Layer
    output: Any = None
    after: int = 0  # the number of calls that had begun when this one ended


class PartialForward:
    """The part of a network after one call of a layer. It is run on altered outputs of the layer.

    It is made from one forward pass of `image`, `[1, C, H, W]`. `call` tells which of the layer's
    calls is meant. Layers that had returned before this call are not called again. Their recorded
    outputs are used instead.
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
        self.at = [i for i, recorded in enumerate(self.calls) if recorded.layer is layer][call]
        self.before = {i: self.calls[i].output for i in self._skipped()}
        for recorded in self.calls:
            recorded.output = None
        self.repeated: dict[int, Any] = {}
        self.count = 0

    def __call__(self, altered: paddle.Tensor) -> Any:
        """The output of the network for B altered outputs of the layer, `[B, …]`."""
        self.altered, self.cursor = altered, 0
        versions: list[int] = []
        each_tensor(list(self.repeated.values()), lambda out: versions.append(out.inplace_version))
        # Repeat the outputs again if their number changes or the network has written into one.
        if self.count != altered.shape[0] or any(versions):
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

        return each_tensor(output, repeat)

    def _recorded(self, layer: paddle.nn.Layer, forward: Callable) -> Callable:
        def run(*inputs: Any, **options: Any) -> Any:
            call = _Call(layer)
            self.calls.append(call)
            output = forward(*inputs, **options)
            call.output = each_tensor(output, paddle.Tensor.clone)
            call.after = len(self.calls)
            return output

        return run

    def _replayed(self, layer: paddle.nn.Layer, forward: Callable) -> Callable:
        def run(*inputs: Any, **options: Any) -> Any:
            index = self.cursor
            if index >= len(self.calls) or self.calls[index].layer is not layer:
                raise ModelError("the network calls its layers in another order the second time")
            if index == self.at:
                self.cursor = self.calls[index].after
                return self.altered
            if index in self.repeated:
                self.cursor = self.calls[index].after
                return self.repeated[index]
            self.cursor += 1
            return forward(*inputs, **options)

        return run


@contextmanager
def _forwards(network: paddle.nn.Layer, replace: Callable) -> Iterator[None]:
    """Inside the block, replace the `forward` of each layer by `replace(layer, forward)`."""
    layers = network.sublayers()
    previous = [layer.__dict__.get("forward") for layer in layers]
    try:
        for layer in layers:
            layer.__dict__["forward"] = replace(layer, layer.forward)
        yield
    finally:
        for layer, forward in zip(layers, previous):
            if forward is None:
                layer.__dict__.pop("forward", None)
            else:
                layer.__dict__["forward"] = forward
