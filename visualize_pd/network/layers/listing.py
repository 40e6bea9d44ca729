"""List the layers of a network, with what each returns for an image."""

from __future__ import annotations

from typing import Any, NamedTuple

import paddle

from ...core.errors import ModelError
from ..gradients import ForwardPass, record_forward
from ..outputs import tensors_in
from .attention import capture_attention
from .feature_maps import capture_blocks, default_feature_maps
from .tokens import Layout, Layouts


class ListedLayer(NamedTuple):
    """A layer of a network.

    `shape` is that of its output for one image; if it returns no tensor, it is None, and `returned`
    says what it returns. `layout` tells how maps lie in the output, if there are any. `default`
    marks the layer from which a CAM is made if no other is named.
    """

    name: str
    kind: str
    shape: list[int] | None
    returned: str
    layout: Layout | None
    attention: bool
    default: bool

    @property
    def what(self) -> str:
        """What the output is, in words: maps, tokens, windows, attention, or nothing of these."""
        if self.attention:
            return "attention"
        return "" if self.layout is None else str(self.layout)


class Listing(NamedTuple):
    """The layers of a network, and the number of its classes. None if it returns no logits."""

    layers: list[ListedLayer]
    classes: int | None


def list_layers(network: paddle.nn.Layer, image: paddle.Tensor) -> Listing:
    """All layers of a network in their order, as one image `[1, C, H, W]` runs through them."""
    with capture_blocks(network) as blocks, capture_attention(network) as attention:
        passed = _recorded(network, image)
    try:
        default = default_feature_maps(network, passed, blocks).layer
    except ModelError:  # it has no feature maps, so no CAM
        default = None
    layouts = Layouts(network, image, passed.calls)
    attentive = {id(each.inside[-1]) for each in attention if each.inside}
    outputs = {id(layer): output for layer, output in passed.calls}
    listed = []
    for name, layer in network.named_sublayers():
        output = outputs.get(id(layer), "not called")
        shape = getattr(output, "shape", None)
        listed.append(
            ListedLayer(
                name,
                type(layer).__name__,
                None if shape is None else list(shape),
                output if isinstance(output, str) else type(output).__name__,
                layouts.of(layer, output),
                id(layer) in attentive,
                layer is default,
            )
        )
    return Listing(listed, None if passed.logits is None else passed.logits.shape[1])


def _recorded(network: paddle.nn.Layer, image: paddle.Tensor) -> ForwardPass:
    """A forward pass with the outputs of all layers, also of a network that returns no logits."""
    layers = network.sublayers()
    try:
        return record_forward(network, image, layers=layers)
    except ModelError:
        return record_forward(network, image, score=_total, layers=layers)


def _total(outputs: Any, images: paddle.Tensor) -> Any:
    """The sum of all that a network returns for an image."""
    floats = [tensor for tensor in tensors_in(outputs) if tensor.shape[:1] == images.shape[:1]]
    return sum(tensor.astype("float32").flatten(1).sum(axis=1) for tensor in floats)
