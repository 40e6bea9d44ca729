"""Checks of names and numbers that the user typed."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from .errors import ConfigError


def did_you_mean(key: str, known: Iterable[str]) -> str:
    """A hint for an unknown name: the closest known name, or else the known names (at most 20)."""
    known = list(known)
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    if near:
        return f"did you mean '{near[0]}'?"
    more = ", …" if len(known) > 20 else ""
    return f"known names are {', '.join(known[:20])}{more}"


def look_up(what: str, name: Any, table: Mapping[str, Any]) -> Any:
    """The entry of a table under a name.

    Raises `ConfigError` for an unknown name. The message lists all names.
    """
    if not isinstance(name, str) or name not in table:
        raise ConfigError(f"unknown {what} '{name}'; use {', '.join(table)}")
    return table[name]


def check_count(what: str, value: int, minimum: int = 1, maximum: int | None = None) -> None:
    """Raise `ConfigError` unless `value` is a whole number from `minimum` to `maximum`."""
    if type(value) is not int or value < minimum:
        raise ConfigError(f"{what} must be a whole number of at least {minimum}, not {value!r}")
    if maximum is not None and value > maximum:
        raise ConfigError(f"{what} must be at most {maximum:,}, not {value!r}")


def options_of(method: Callable) -> dict[str, Any]:
    """The options of a method (its keyword-only parameters) with their defaults."""
    parameters = inspect.signature(method).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
