"""The networks of PaddleClas, `ppcls.arch.backbone`. PaddleClas is an optional package."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import inspect
import logging
import pkgutil
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import ModuleType
from typing import Any

import paddle
from paddle.utils import unique_name

from ...core.errors import ModelError

PREFIX = "paddleclas:"
INSTALL = (
    "pip install --no-deps paddleclas && pip install requests tqdm scikit-learn scipy pyyaml six"
)

# Input that is not a picture of 224 × 224 with ImageNet's mean and std, as PaddleClas's own configs
# have it. Of several patterns that fit a name the first one counts for each setting.
_HALF = (0.5, 0.5, 0.5)
_PLAIN = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}
_EFFICIENT = {1: 240, 2: 260, 3: 300, 4: 380, 5: 456, 6: 528, 7: 600}
INPUTS: dict[str, dict[str, Any]] = {
    r"(Inception|Xception)": {"image_size": 299, "resize": 320},
    r"LeViT_": {"image_size": 224, "resize": 256},  # LeViT_384 has 384 channels
    r"(ViT|TNT)_": {"mean": _HALF, "std": _HALF},
    r"MobileViT_": {"image_size": 256, "resize": 292, **_PLAIN},
    r"MobileViTV[23]_": {"image_size": 256, "resize": 288, **_PLAIN},
    r"DarkNet53": {"image_size": 256, "resize": 292},
    r"(MobileFaceNet|AdaFace_)": {"image_size": 112, "resize": 112, "mean": _HALF, "std": _HALF},
    r".*_256$": {"image_size": 256, "resize": 292},
    r".*_336$": {"image_size": 336, "resize": 384},
    r".*_384$": {"image_size": 384, "resize": 438},
    **{
        rf"EfficientNetB{variant}$": {"image_size": size, "resize": size + 32}
        for variant, size in _EFFICIENT.items()
    },
}


def find_builder(name: str) -> Callable[..., paddle.nn.Layer]:
    """A function that builds a network of PaddleClas with random weights.

    Raises `ModelError` if PaddleClas cannot be imported, and for an unknown builder. The message
    gives names that are close to it.
    """
    known = builders()
    if name not in known:
        small = {each.lower(): each for each in known}
        near = difflib.get_close_matches(name.lower(), small, n=4, cutoff=0.5)
        hint = " or ".join(small[each] for each in near) or "a name of ppcls.arch.backbone"
        raise ModelError(f"PaddleClas has no network '{name[:100]}'; use {hint}")
    return partial(_build, known[name])


def builders() -> dict[str, Callable[..., paddle.nn.Layer]]:
    """All functions of PaddleClas that build a network, by their names.

    `ppcls.arch.backbone` exports most of them. Its model files have some more.
    """
    with _importable():
        backbone = _backbone()
    found: dict[str, Callable] = {}
    for module in pkgutil.walk_packages(backbone.__path__, f"{backbone.__name__}."):
        for name, value in vars(sys.modules.get(module.name, backbone)).items():
            public = inspect.isfunction(value) and not name.startswith("_")
            if public and "pretrained" in inspect.signature(value).parameters:
                found[name] = value
    return {**found, **{name: getattr(backbone, name) for name in backbone.__all__}}


def takes_classes(name: str) -> bool:
    """Whether a builder has the argument `class_num`. Networks of faces, for example, do not."""
    parameters = inspect.signature(builders()[name]).parameters.values()
    return any(p.name == "class_num" or p.kind is p.VAR_KEYWORD for p in parameters)


def input_of(name: str) -> dict[str, Any]:
    """The input settings of a network that differ from ImageNet's usual ones."""
    settings: dict[str, Any] = {}
    for pattern, values in INPUTS.items():
        if re.match(pattern, name):
            settings = {**values, **settings}
    return settings


def _build(
    builder: Callable[..., paddle.nn.Layer], num_classes: int | None = None
) -> paddle.nn.Layer:
    options: dict[str, Any] = {} if num_classes is None else {"class_num": num_classes}
    if "pretrained" in inspect.signature(builder).parameters:
        options["pretrained"] = False  # some would download weights by themselves
    with _importable(), _own_names():
        return builder(**options)


@contextmanager
def _own_names() -> Iterator[None]:
    """Allow fixed names of parameters, such as `conv1_weights`, which other networks have too.

    All other names stay different from those of other networks.
    """
    generator, used = unique_name.switch()
    unique_name.switch(generator)  # only the list of used names is new
    try:
        yield
    finally:
        unique_name.switch(generator, used)


@contextmanager
def _importable() -> Iterator[None]:
    """Make `ppcls` importable inside the block. It lies in the folder of the package."""
    package = importlib.util.find_spec("paddleclas")
    folders = list(package.submodule_search_locations or []) if package else []
    before = set(sys.path)
    sys.path.extend(folders)
    try:
        yield
    finally:
        for folder in folders:
            if folder not in before:
                sys.path.remove(folder)


def _backbone() -> ModuleType:
    try:
        found: Any = importlib.import_module("ppcls.arch.backbone")
        logger: Any = importlib.import_module("ppcls.utils.logger")
    except ModuleNotFoundError as error:
        missing = "PaddleClas" if error.name == "ppcls" else f"PaddleClas's module {error.name}"
        raise ModelError(f"{missing} is not installed; type: {INSTALL}") from error
    except (Exception, SystemExit) as error:  # it may not fit other packages that are installed
        raise ModelError(f"cannot import PaddleClas: {type(error).__name__}: {error}") from error
    if logger._logger is None:  # some builders warn, and fail without a logger
        logger._logger = logging.getLogger("ppcls")
        logger._logger.addHandler(logging.NullHandler())
        logger._logger.propagate = False
    return found
