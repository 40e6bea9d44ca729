"""What a person can cause. The message is one sentence: what is wrong, and what to do."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any


class VisualizeError(Exception):
    """Base of every error that the package raises on purpose."""


class ConfigError(VisualizeError):
    """A configuration that cannot be read or does not make sense."""


class DeviceError(VisualizeError):
    """A device that this machine or this Paddle does not have."""


class ImageError(VisualizeError):
    """A picture that is missing, damaged or unusable."""


class ModelError(VisualizeError):
    """A network that cannot be found, built or used."""


class OutputError(VisualizeError):
    """A result that cannot be written."""


class TargetError(VisualizeError):
    """A class that the network does not have."""


class WeightsError(VisualizeError):
    """Weights that are missing, damaged, hostile or made for another network."""


class WeightsMissingError(WeightsError):
    """No weights at hand, and none could be downloaded: the case for a fallback network."""


class PaddleMissingError(VisualizeError, ImportError):
    """PaddlePaddle is not installed."""


def nearest(key: str, known: Iterable[str]) -> str:
    """A hint after an unknown key: the closest known one, or all of them, at most 20."""
    known = list(known)
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    if near:
        return f"did you mean '{near[0]}'?"
    more = ", …" if len(known) > 20 else ""
    return f"known are {', '.join(known[:20])}{more}"


def look_up(what: str, name: Any, table: Mapping[str, Any]) -> Any:
    """An entry of a table; `ConfigError` names all of them for one that it does not have."""
    if not isinstance(name, str) or name not in table:
        raise ConfigError(f"unknown {what} '{name}'; use {', '.join(table)}")
    return table[name]


def check_count(what: str, value: int, minimum: int = 1) -> None:
    """Raise `ConfigError` unless a number of things is a whole one, and enough of them."""
    if type(value) is not int or value < minimum:
        raise ConfigError(f"{what} must be a whole number of at least {minimum}, not {value!r}")


def options_of(method: Callable) -> dict[str, Any]:
    """A method's options and their defaults."""
    parameters = inspect.signature(method).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
