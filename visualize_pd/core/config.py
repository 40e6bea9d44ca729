"""Turn a mapping into a dataclass, and check its keys, types and bounds."""

from __future__ import annotations

import dataclasses
import math
import reprlib
import types
import typing
from dataclasses import field
from typing import Any, Union

from .checks import did_you_mean
from .errors import ConfigError


def key(default: Any, meaning: str, *, name: str | None = None, **bounds: Any) -> Any:
    """Define a config key: its default, its meaning, its name in YAML and its bounds.

    If `default` is callable, it is called to make the default value. `name` is needed only if the
    key has another name in YAML than in Python. Possible bounds are `above`, `minimum`, `maximum`.
    """
    extra = {"default_factory": default} if callable(default) else {"default": default}
    return field(metadata={"name": name, "meaning": meaning, **bounds}, **extra)


# Limits for a group of keys: the number of values in it, and how deeply it is nested. With aliases
# a short YAML file can describe millions of values, or a group that contains itself.
MOST_VALUES, DEEPEST = 10_000, 20


def build(schema: type, values: Any, where: str = "") -> Any:
    """Make a dataclass from a mapping. Missing keys get their defaults.

    If the schema has a `SHORT_FORM`, the value of that key alone may be given in place of the
    mapping. Raises `ConfigError` for an unknown key, a wrong type or a number out of its bounds.
    """
    if isinstance(values, str) and hasattr(schema, "SHORT_FORM"):
        values = {schema.SHORT_FORM: values}
    if not isinstance(values, dict):
        raise ConfigError(f"{where or 'the config'} must be a group of keys, not {shown(values)}")
    hints = typing.get_type_hints(schema)
    known = {f.metadata.get("name") or f.name: f for f in dataclasses.fields(schema)}
    arguments = {}
    for key, value in values.items():
        path = f"{where}.{key}" if where else str(key)
        if key not in known:
            raise ConfigError(f"unknown key '{path}'; {did_you_mean(str(key), known)}")
        spec = known[key]
        arguments[spec.name] = _checked(value, hints[spec.name], spec.metadata, path)
    return schema(**arguments)


def as_dict(config: Any) -> dict:
    """The inverse of `build`: a dict of plain values, with the names that the keys have in YAML."""
    result = {}
    for spec in dataclasses.fields(config):
        value = getattr(config, spec.name)
        plain = as_dict(value) if dataclasses.is_dataclass(value) else value
        result[spec.metadata.get("name") or spec.name] = plain
    return result


def shown(value: Any) -> str:
    """The text of a value for an error message, at most 40 characters."""
    text = reprlib.repr(value)  # it stays short, also for a value with millions of parts
    return text if len(text) <= 40 else text[:37] + "…"


def _checked(value: Any, hint: Any, bounds: typing.Mapping, where: str) -> Any:
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return build(hint, value, where)
    options = _options(hint)
    fitted = _fitted(value, hint)
    if fitted is not _MISFIT:
        _check_bounds(fitted, bounds, where)
        return fitted
    wanted = " or ".join(_TYPE_NAMES.get(option, "a list") for option in options)
    raise ConfigError(f"{where} must be {wanted}, not {shown(value)}")


_MISFIT = object()
_TYPE_NAMES = {
    int: "a whole number",
    float: "a number",
    str: "a text",
    bool: "true or false",
    dict: "a group of keys",
    type(None): "null",
}


def _options(hint: Any) -> tuple:
    is_union = typing.get_origin(hint) in (Union, getattr(types, "UnionType", Union))
    return typing.get_args(hint) if is_union else (hint,)


def _fitted(value: Any, hint: Any) -> Any:
    options = _options(hint)
    if len(options) > 1:
        fits = (_fitted(value, option) for option in options)
        return next((fitted for fitted in fits if fitted is not _MISFIT), _MISFIT)
    if typing.get_origin(hint) is list:
        (inner,) = typing.get_args(hint)
        items = [_fitted(item, inner) for item in value] if isinstance(value, list) else [_MISFIT]
        return _MISFIT if any(item is _MISFIT for item in items) else items
    if hint is float and type(value) is int:
        return float(value) if abs(value) < 1e300 else _MISFIT
    if type(value) is not hint or _room_after(value, MOST_VALUES) < 0:
        return _MISFIT
    return value


def _room_after(value: Any, room: int, depth: int = DEEPEST) -> int:
    """`room` minus the number of values inside `value`.

    The result is negative if there are too many values, if they are nested too deeply, or if JSON
    cannot hold one of them.
    """
    if isinstance(value, (dict, list)):
        for item in value.values() if isinstance(value, dict) else value:
            room = _room_after(item, room, depth - 1) if depth and room > 0 else -1
    elif not (value is None or isinstance(value, (str, int, float))):
        return -1
    return room - 1


def _check_bounds(value: Any, bounds: typing.Mapping, where: str) -> None:
    if isinstance(value, list):
        for item in value:
            _check_bounds(item, bounds, where)
    if not isinstance(value, (int, float)):
        return
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{where} must be a finite number, not {value}")
    if type(value) is int and abs(value) >= 2**63:
        raise ConfigError(f"{where} is too large a number: {shown(value)}")
    if bounds.get("maximum") is not None and value > bounds["maximum"]:
        raise ConfigError(f"{where} must be at most {bounds['maximum']}, not {value}")
    if bounds.get("minimum") is not None and value < bounds["minimum"]:
        raise ConfigError(f"{where} must be at least {bounds['minimum']}, not {value}")
    if bounds.get("above") is not None and value <= bounds["above"]:
        raise ConfigError(f"{where} must be greater than {bounds['above']}, not {value}")
