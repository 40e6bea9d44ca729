"""The command `visualize-pd models`."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from ...core.errors import ModelError
from .parser import plain_parser
from .terminal import DONE, exit_code, say, say_table

MODELS_EXAMPLES = """\
examples:
  visualize-pd models
  visualize-pd models resnet18
  visualize-pd models my_package.networks:build --image-size 112
"""


def models_command(prog: str, arguments: Sequence[str]) -> Callable[[], int]:
    """Read the arguments, and return a function that does the work."""
    parser = plain_parser(
        prog, "List the networks that can be loaded by name, or the layers of one.", MODELS_EXAMPLES
    )
    parser.add_argument("name", nargs="?", help="the network whose layers are listed")
    parser.add_argument("--image-size", type=int, help="side of the image, if it is another one")
    asked = parser.parse_args(arguments)
    show = partial(show_model, asked.name, asked.image_size)
    return partial(exit_code, show if asked.name else list_models)


def list_models() -> int:
    """Print a line for each network of the registry, then the names in `paddle.vision.models`."""
    from ...models.loading import weights_source
    from ...models.registry import REGISTRY, vision_models
    from ...models.weights.downloading import zoo_url

    rows = [("network", "title", "input", "classes", "weights now")]
    for name, entry in REGISTRY.items():
        size = f"{entry.image_size}×{entry.image_size}"
        rows.append((name, entry.title, size, str(entry.num_classes), weights_source(name)))
    say_table(rows)
    names = vision_models()
    say("")
    say("and those of paddle.vision.models, with weights in weights/ or downloaded (* has none):")
    marked = [name if zoo_url(name) else f"{name}*" for name in names]
    for line in textwrap.wrap(", ".join(marked), 96):
        say(line)
    return DONE


def show_model(name: str, image_size: int | None = None) -> int:
    """Print a line for each layer of a network: its name, its type and its output for one image.

    An output may be maps, tokens, windows or attention.
    """
    import paddle

    from ...models.classifier import network_errors
    from ...models.loading import load_model, weights_source
    from ...network.layers.attention import capture_attention
    from ...network.layers.feature_maps import capture_blocks, default_feature_maps
    from ...network.layers.tokens import Layouts

    classifier = load_model(name, weights="random", image_size=image_size)
    network, size = classifier.network, classifier.image_size
    with network_errors(classifier):
        image = paddle.zeros([1, len(classifier.mean), size, size])
        with capture_blocks(network) as blocks, capture_attention(network) as attention:
            passed = _recorded(network, image)
    try:
        default = default_feature_maps(network, passed, blocks).layer
    except ModelError:  # it has no feature maps, so no CAM
        default = None
    layouts = Layouts(network, image, passed.calls)
    attentive = {id(each.inside[-1]) for each in attention if each.inside}
    returned = {id(layer): output for layer, output in passed.calls}
    rows = [("layer", "type", f"returns for {list(image.shape)}", "what it is", "")]
    for layer_name, layer in network.named_sublayers():
        output = returned.get(id(layer), "not called")
        shape = getattr(output, "shape", None)
        returns = str(list(shape)) if shape is not None else _kind(output)
        layout = layouts.of(layer, output)
        kind = "attention" if id(layer) in attentive else "" if layout is None else str(layout)
        mark = "← the CAMs' target_layer" if layer is default else ""
        rows.append((layer_name, type(layer).__name__, returns, kind, mark))
    title = classifier.title.replace(" (random weights)", "")
    classes = "no logits" if passed.logits is None else f"{passed.logits.shape[1]} classes"
    say(f"{title}: {size}×{size} pixels, {classes}; weights now: {weights_source(name)}")
    say_table(rows)
    return DONE


def _recorded(network: Any, image: Any) -> Any:
    """A forward pass with the outputs of all layers, also of a network that returns no logits."""
    from ...network.gradients import record_forward

    layers = network.sublayers()
    try:
        return record_forward(network, image, layers=layers)
    except ModelError:
        return record_forward(network, image, score=_total, layers=layers)


def _total(outputs: Any, images: Any) -> Any:
    """The sum of all that a network returns for an image."""
    from ...network.outputs import tensors_in

    floats = [tensor for tensor in tensors_in(outputs) if tensor.shape[:1] == images.shape[:1]]
    return sum(tensor.astype("float32").flatten(1).sum(axis=1) for tensor in floats)


def _kind(output: Any) -> str:
    return output if isinstance(output, str) else type(output).__name__
