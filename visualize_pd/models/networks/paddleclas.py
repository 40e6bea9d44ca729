"""The networks of PaddleClas, `ppcls.arch.backbone`. PaddleClas is an optional package."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import inspect
import logging
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import ModuleType
from typing import Any

import paddle

from ...core.errors import ModelError

PREFIX = "paddleclas:"
INSTALL = (
    "pip install --no-deps paddleclas && pip install requests tqdm scikit-learn scipy pyyaml six"
)
USUAL_SIZE = 224


def find_builder(name: str) -> Callable[..., paddle.nn.Layer]:
    """A function that builds a network of PaddleClas with random weights.

    `name` is that of a builder in `ppcls.arch.backbone`. Raises `ModelError` if PaddleClas cannot
    be imported, and for an unknown builder. The message gives names that are close to it.
    """
    with _importable():
        backbone = _backbone()
    builders = {
        each: builder
        for each, builder in vars(backbone).items()
        if inspect.isfunction(builder) and "pretrained" in inspect.signature(builder).parameters
    }
    if name not in builders:
        small = {each.lower(): each for each in builders}
        near = difflib.get_close_matches(name.lower(), small, n=4, cutoff=0.5)
        hint = " or ".join(small[each] for each in near) or "a name of ppcls.arch.backbone"
        raise ModelError(f"PaddleClas has no network '{name[:100]}'; use {hint}")
    return partial(_build, builders[name])


def input_size(name: str) -> int:
    """The side of the input that a network of PaddleClas was made for, as its name says."""
    found = re.search(r"_(\d{3})(?=_|$)", name)
    if found:
        return int(found[1])
    return 299 if name.lower().startswith(("inception", "xception")) else USUAL_SIZE


def _build(builder: Callable[..., paddle.nn.Layer], num_classes: int = 1000) -> paddle.nn.Layer:
    # Some name their parameters, which a second network in the process could not do again.
    with _importable(), paddle.utils.unique_name.guard():
        return builder(pretrained=False, class_num=num_classes)


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
