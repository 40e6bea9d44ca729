"""The command `visualize-pd models`."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from functools import partial

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
    from ...network.layers.listing import list_layers

    classifier = load_model(name, weights="random", image_size=image_size)
    size = classifier.image_size
    with network_errors(classifier):
        image = paddle.zeros([1, len(classifier.mean), size, size])
        listing = list_layers(classifier.network, image)
    rows = [("layer", "type", f"returns for {list(image.shape)}", "what it is", "")]
    for layer in listing.layers:
        returns = layer.returned if layer.shape is None else str(layer.shape)
        mark = "← the CAMs' target_layer" if layer.default else ""
        rows.append((layer.name, layer.kind, returns, layer.what, mark))
    title = classifier.title.replace(" (random weights)", "")
    classes = "no logits" if listing.classes is None else f"{listing.classes} classes"
    say(f"{title}: {size}×{size} pixels, {classes}; weights now: {weights_source(name)}")
    say_table(rows)
    return DONE
