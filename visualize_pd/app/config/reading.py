"""Read configs from YAML files and from `-o key=value`."""

from __future__ import annotations

import os
import re
import typing
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from ...core.config import build, shown
from ...core.errors import ConfigError


def default_config(name: str) -> Path:
    """The path of a config of the project: an installed one, or else the one in the clone."""
    package = Path(__file__).resolve().parents[2]
    installed = package / "configs" / name
    return installed if os.path.isfile(installed) else package.parent / "configs" / name


def load_config(schema: type, path: str | Path, overrides: typing.Sequence[str] = ()) -> Any:
    """Read a YAML file, apply the overrides `key=value`, and return an object of type `schema`.

    A dot in a key leads into a group. Raises `ConfigError` for a file that cannot be read, for
    invalid YAML, for an unknown key (the message gives the closest known one), for a wrong type and
    for a number out of its bounds.
    """
    return build(schema, apply_overrides(read_values(path), overrides))


def apply_overrides(values: dict, overrides: typing.Sequence[str]) -> dict:
    """Replace keys in a mapping by overrides such as `priors.shift=0`. Values are read as YAML."""
    for override in overrides:
        key, equals, text = override.partition("=")
        parts = key.strip().split(".")
        if not equals or not all(parts):
            raise ConfigError(f"'-o {override}' is not of the form key=value")
        group = values
        for part in parts[:-1]:
            inner = group.get(part)
            if isinstance(inner, str) and part in ("model", "method"):
                inner = {"name": inner}
            elif inner is None:
                inner = {}
            elif not isinstance(inner, dict):
                raise ConfigError(f"'-o {override}': {part} is a value, not a group of keys")
            group[part] = inner
            group = inner
        group[parts[-1]] = parse_value(text, f"'-o {override}'")
    return values


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader with three changes.

    `1e-3` is a number, as in YAML 1.2. A key may occur only once in a group. A whole number must
    fit into a float, because Python refuses to print very long ones.
    """

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        value = super().construct_yaml_int(node)
        if abs(value) >= 10**300:
            raise yaml.constructor.ConstructorError(
                None, None, "a number has over 300 digits", node.start_mark
            )
        return value

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if type(key) not in (str, int):
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} must be a text", key_node.start_mark
                )
            key = str(key)  # a class index in `target`
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key '{key}' occurs twice", key_node.start_mark
                )
            seen.add(key)
        return {str(key): value for key, value in super().construct_mapping(node, deep).items()}


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)[eE][-+]?[0-9]+$"),
    list("-+0123456789."),
)


def parse_value(text: str, where: str) -> Any:
    """The value of a YAML text. Raises `ConfigError`, which begins with `where`."""
    try:
        # _Loader is a SafeLoader, so it builds only plain values.
        return yaml.load(text, Loader=_Loader)
    except Exception as error:  # for a wrong tag PyYAML can raise almost any error
        mark = getattr(error, "problem_mark", None)
        place = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or type(error).__name__
        raise ConfigError(f"{where}{place} is not valid YAML: {problem}") from error


def read_values(path: str | Path) -> dict:
    """The keys and values in a YAML file. Raises `ConfigError`, which names the file."""
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"no such config file: {path}") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not a text file in UTF-8"
        raise ConfigError(f"cannot read the config file {path}: {reason}") from error
    values = parse_value(text, str(path))
    if not isinstance(values, dict):
        raise ConfigError(f"{path} must hold keys and values, not {shown(values)}")
    return values
