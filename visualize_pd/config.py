"""YAML files and `-o key=value` → checked dataclasses.

A key, its type, its default and its meaning stand once, in the dataclasses below.
"""

from __future__ import annotations

import dataclasses
import math
import re
import reprlib
import types
import typing
from collections.abc import Hashable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional, Union

import yaml

from .errors import ConfigError, nearest


def _key(default: Any = dataclasses.MISSING, *, name: str | None = None, **bounds: Any) -> Any:
    """A config key whose YAML name or bounds (above, minimum, maximum) differ from the default."""
    extra = {"default_factory": default} if callable(default) else {"default": default}
    return field(metadata={"name": name, **bounds}, **extra)


@dataclass
class ModelConfig:
    """`model`: a name alone, or these keys."""

    name: str = "alexnet"
    weights: str = "auto"
    fallback: Optional[str] = None
    num_classes: Optional[int] = _key(None, minimum=1)
    image_size: Optional[int] = _key(None, minimum=8, maximum=4096)
    mean: Optional[list[float]] = None
    std: Optional[list[float]] = None
    labels: Optional[str] = None


@dataclass
class PriorsConfig:
    """`priors`: what keeps a synthetic image natural; 0 switches one off."""

    shift: int = _key(16, minimum=0, maximum=4096)
    rotation: float = _key(0.0, minimum=0, maximum=180)
    zoom: list[float] = _key(lambda: [1.0, 1.0], minimum=0.1, maximum=10)
    total_variation: float = _key(0.015, minimum=0)
    beta: Optional[float] = _key(None, minimum=1, maximum=10)
    alpha_norm: float = _key(0.0, minimum=0)
    alpha: float = _key(6.0, minimum=1, maximum=20)
    blur: float = _key(0.0, minimum=0, maximum=100)
    blur_every: int = _key(4, minimum=1)
    small_norm: float = _key(0.0, minimum=0, maximum=0.99)
    small_contribution: float = _key(0.0, minimum=0, maximum=0.99)
    clamp: bool = False


@dataclass
class FourierConfig:
    """`fourier`: the spectrum that `parametrisation: fourier` changes in place of pixels."""

    decay: float = _key(0.8, minimum=0, maximum=4)
    lowest: float = _key(5.0, above=0, maximum=4096)


@dataclass
class FramesConfig:
    """`frames`: which iterations become pictures."""

    every: int = _key(10, minimum=1)


@dataclass
class AnimationConfig:
    """`animation`: of the frames, looping; `size` is an image's longer side in it."""

    format: str = "gif"
    frame_ms: int = _key(200, minimum=20, maximum=655_350)
    hold_ms: int = _key(2000, minimum=20, maximum=655_350)
    size: Optional[int] = _key(None, minimum=16, maximum=4096)
    score: bool = False


@dataclass
class ExplainConfig:
    """The keys of method_1."""

    images: Union[str, list[str]] = "content/images"
    target: Union[str, int, list[Union[str, int]]] = "predicted"
    method: Union[str, dict] = "saliency"
    compare: Optional[list[Union[str, dict]]] = None
    colormap: str = "auto"
    common_scale: bool = False
    model: ModelConfig = _key(ModelConfig)
    batch_size: int = _key(8, minimum=1)
    save_arrays: bool = False
    skip_existing: bool = False
    report: bool = False
    device: str = "auto"
    output: str = "images"


@dataclass
class GenerateConfig:
    """The keys of method_2."""

    objective: str = "class_image"
    layer: Optional[Union[str, int]] = None
    channel: Union[int, str, list[int]] = 0
    position: Optional[list[int]] = None
    octaves: int = _key(4, minimum=1, maximum=20)
    octave_scale: float = _key(1.4, above=1, maximum=10)
    target: Union[str, int, list[Union[str, int]], dict] = 130
    iterations: int = _key(160, minimum=1)
    learning_rate: float = _key(0.1, above=0)
    cooling: float = _key(1.0, minimum=0, maximum=1)
    l2: float = _key(1e-3, name="lambda", minimum=0)
    parametrisation: str = "pixels"
    fourier: FourierConfig = _key(FourierConfig)
    seed: int = _key(0, minimum=0)
    init: str = "noise"
    init_std: float = _key(0.01, minimum=0, maximum=100)
    priors: PriorsConfig = _key(PriorsConfig)
    frames: FramesConfig = _key(FramesConfig)
    animation: AnimationConfig = _key(AnimationConfig)
    report: bool = False
    model: ModelConfig = _key(ModelConfig)
    device: str = "auto"
    output: str = "images"


@dataclass
class EvaluateConfig:
    """The keys of `evaluate methods`: which maps tell best what the network uses."""

    images: Union[str, list[str]] = "content/images"
    target: Union[str, int] = "predicted"
    truth: Optional[str] = None
    methods: list[Union[str, dict]] = _key(lambda: ["saliency", "grad_cam"])
    measures: list[str] = _key(lambda: ["insertion", "deletion", "pointing_game", "average_drop"])
    steps: int = _key(50, minimum=1, maximum=100_000)
    samples: int = _key(50, minimum=1, maximum=100_000)
    model: ModelConfig = _key(ModelConfig)
    batch_size: int = _key(32, minimum=1)
    seed: int = _key(0, minimum=0)
    device: str = "auto"
    output: str = "images"


@dataclass
class LocaliseConfig:
    """The keys of `evaluate localise`: where the object of a class is."""

    images: Union[str, list[str]] = "content/images"
    target: Union[str, int, list[Union[str, int]]] = "predicted"
    method: Union[str, dict] = "saliency"
    engine: str = "grabcut"
    foreground: float = _key(0.95, minimum=0, maximum=1)
    background: float = _key(0.30, minimum=0, maximum=1)
    threshold: float = _key(0.4, minimum=0, maximum=0.999)
    smoothing: float = _key(0.05, minimum=0, maximum=1)
    ten_crops: bool = True
    truth: Optional[str] = None
    model: ModelConfig = _key(ModelConfig)
    device: str = "auto"
    output: str = "images"


@dataclass
class SanityConfig:
    """The keys of `evaluate sanity`: whether maps change with what the network has learned."""

    images: Union[str, list[str]] = "content/images"
    target: Union[str, int] = "predicted"
    methods: list[Union[str, dict]] = _key(lambda: ["gradient", "guided_backprop"])
    mode: str = "cascading"
    seed: int = _key(0, minimum=0)
    model: ModelConfig = _key(ModelConfig)
    device: str = "auto"
    output: str = "images"


# Of a group of keys; an alias of YAML can unfold to millions, or hold itself.
MOST_VALUES, DEEPEST = 10_000, 20


def load_config(schema: type, path: str | Path, overrides: typing.Sequence[str] = ()) -> Any:
    """Read a YAML file, apply `key=value` overrides (dots go into groups), return a `schema`.

    Raises `ConfigError` for a file that can't be read, broken YAML, an unknown key (the nearest
    known one is named), a wrong type, and a number out of its bounds.
    """
    return build(schema, apply_overrides(_read(Path(path)), overrides))


def build(schema: type, values: Any, where: str = "") -> Any:
    """Check a mapping against a dataclass and fill in its defaults."""
    if schema is ModelConfig and isinstance(values, str):
        values = {"name": values}
    if not isinstance(values, dict):
        raise ConfigError(f"{where or 'the config'} must be a group of keys, not {_shown(values)}")
    hints = typing.get_type_hints(schema)
    known = {f.metadata.get("name") or f.name: f for f in dataclasses.fields(schema)}
    arguments = {}
    for key, value in values.items():
        path = f"{where}.{key}" if where else str(key)
        if key not in known:
            raise ConfigError(f"unknown key '{path}'; {nearest(str(key), known)}")
        spec = known[key]
        arguments[spec.name] = _checked(value, hints[spec.name], spec.metadata, path)
    return schema(**arguments)


def as_dict(config: Any) -> dict:
    """The inverse of `build`: plain values under their YAML names."""
    result = {}
    for spec in dataclasses.fields(config):
        value = getattr(config, spec.name)
        plain = as_dict(value) if dataclasses.is_dataclass(value) else value
        result[spec.metadata.get("name") or spec.name] = plain
    return result


def apply_overrides(values: dict, overrides: typing.Sequence[str]) -> dict:
    """`["priors.shift=0"]` → the mapping with that key replaced; values are typed as in YAML."""
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
        group[parts[-1]] = _parse(text, f"'-o {override}'")
    return values


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, but 1e-3 is a number (as in YAML 1.2) and a key stands only once.

    Whole numbers fit into floats: Python itself refuses to write down very long ones.
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
                    None, None, f"the key {key!r} is not a word", key_node.start_mark
                )
            key = str(key)  # a class index in `target`
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key '{key}' stands twice", key_node.start_mark
                )
            seen.add(key)
        return {str(key): value for key, value in super().construct_mapping(node, deep).items()}


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)[eE][-+]?[0-9]+$"),
    list("-+0123456789."),
)


def _parse(text: str, where: str) -> Any:
    try:
        # _Loader is a SafeLoader: it builds plain values only.
        return yaml.load(text, Loader=_Loader)
    except Exception as error:  # an ill-typed tag makes PyYAML raise nearly anything
        mark = getattr(error, "problem_mark", None)
        place = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or type(error).__name__
        raise ConfigError(f"{where}{place} is not valid YAML: {problem}") from error


def _read(path: Path) -> dict:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"no such config file: {path}") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not a text file in UTF-8"
        raise ConfigError(f"cannot read the config file {path}: {reason}") from error
    values = _parse(text, str(path))
    if not isinstance(values, dict):
        raise ConfigError(f"{path} must hold keys and values, not {_shown(values)}")
    return values


def _shown(value: Any) -> str:
    text = reprlib.repr(value)  # an alias can unfold to millions
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
    raise ConfigError(f"{where} must be {wanted}, not {_shown(value)}")


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
    """What a value and all that it holds leave of `room`: less than 0 for what JSON cannot hold."""
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
        return
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{where} must be a finite number, not {value}")
    if type(value) is int and abs(value) >= 2**63:
        raise ConfigError(f"{where} is too large a number: {_shown(value)}")
    if bounds.get("maximum") is not None and value is not None and value > bounds["maximum"]:
        raise ConfigError(f"{where} must be at most {bounds['maximum']}, not {value}")
    if bounds.get("minimum") is not None and value is not None and value < bounds["minimum"]:
        raise ConfigError(f"{where} must be at least {bounds['minimum']}, not {value}")
    if bounds.get("above") is not None and value is not None and value <= bounds["above"]:
        raise ConfigError(f"{where} must be greater than {bounds['above']}, not {value}")
