"""Controls for the options of methods, made of the signatures that the docs are made of."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import gradio as gr
import paddle

from ...attribution.baselines import BASELINES
from ...attribution.configured import TABLES
from ...attribution.gradient.smooth_grad import GRADIENT_METHODS
from ...attribution.methods import METHODS
from ...attribution.reduction import CHANNELS, SIGNS
from ...core.checks import options_of
from ...core.errors import ModelError
from ...models.classifier import Classifier, network_errors
from ...network.gradients import record_forward
from ...network.layers.tokens import Layouts
from ...network.scores import SCORES
from .texts import PageError, Pair

# The words that an option can have. Files and functions are for configs, not for the page.
WORDS: dict[str, Sequence[str]] = {
    **{name: list(table) for name, table in TABLES.items()},
    "score": list(SCORES),
    "channel": list(CHANNELS),
    "sign": list(SIGNS),
    "of": list(GRADIENT_METHODS),
    "baseline": list(BASELINES),
    "baselines": [*BASELINES, "random"],
}
ZOOMS = (0.5, 0.75, 1.25, 1.5, 2.0)
MOST = 20  # times the default of a number, so that nobody holds the device for hours
FREE = 10_000  # the limit of a number without a default
LARGEST_SEED = 1_000_000
OUTSIDE: Pair = ("{} must be {} from {:g} to {:g}", "{}必须是{}，在 {:g} 到 {:g} 之间")
WHOLE: Pair = ("a whole number", "整数")
NUMBER: Pair = ("a number", "数")
NOT_LISTED: Pair = ("{} cannot be {!r}; choose from the list", "{} 不能是 {!r}；请从列表中选择")
NOT_SHOWN = ("return_gap", "attention_layer", "batch_size")


def number(name: Pair, value: Any, low: float, high: float, whole: bool = True) -> Any:
    """The number that a person has entered, as an int if it is `whole`.

    Raises `PageError` if there is none, and if it is out of its limits.
    """
    fits = type(value) in (int, float) and low <= value <= high  # not so for NaN
    if not fits or (whole and value != int(value)):
        raise PageError(OUTSIDE, name, WHOLE if whole else NUMBER, low, high)
    return int(value) if whole else float(value)


class Control(NamedTuple):
    """The control of one option: its name, its default, and what may be chosen.

    `kind` is choice, several, switch, whole or number. `choices` belong to the first two, and the
    limits to the last two. None is chosen by an empty control.
    """

    name: str
    default: Any
    kind: str
    choices: tuple[Any, ...] = ()
    low: float = 0
    high: float = math.inf

    def checked(self, value: Any) -> Any:
        """The value as a config has it. Raises `PageError` for one that cannot be chosen."""
        if self.kind == "several" and isinstance(value, (list, tuple, type(None))):
            if all(each in self.choices for each in value or []):
                return list(value) if value else self.default
        elif value in (None, "") and self.default is None:
            return None
        elif value in (self.choices if self.kind == "choice" else ()) or self._is_switched(value):
            return value
        elif self.kind in ("whole", "number"):
            name = self.name, f"{self.name} "
            return number(name, value, self.low, self.high, whole=self.kind == "whole")
        raise PageError(NOT_LISTED, self.name, value)

    def _is_switched(self, value: Any) -> bool:
        return self.kind == "switch" and isinstance(value, bool)

    def component(self, value: Any, layers: Mapping[str, str]) -> Any:
        """The component of Gradio that shows the control with a value.

        `layers` says what each layer returns.
        """
        shown: dict[str, Any] = {"label": self.name, "value": value, "interactive": True}
        if self.kind == "switch":
            return gr.Checkbox(**shown)
        if self.kind in ("whole", "number"):
            precision = 0 if self.kind == "whole" else None
            return gr.Number(**shown, precision=precision, placeholder="auto")
        shown["value"] = list(value) if isinstance(value, tuple) else value
        choices = [(f"{each}  {layers.get(each, '')}".strip(), each) for each in self.choices]
        return gr.Dropdown(choices, **shown, multiselect=self.kind == "several")


def controls_of(method: str, layers: Sequence[str]) -> list[Control]:
    """The controls of a method's options. `layers` are the names from which one is chosen."""
    function = METHODS[method]
    return [
        control
        for name, default in options_of(function).items()
        if (control := _control(function, name, default, tuple(layers))) is not None
    ]


def _control(
    function: Callable, name: str, default: Any, layers: tuple[str, ...]
) -> Control | None:
    if name in NOT_SHOWN:
        return None
    if name in WORDS:
        words = [*WORDS[name], *(["random"] if "draws" in options_of(function) else [])]
        return Control(name, default, "choice", tuple(words if name == "baseline" else WORDS[name]))
    if name == "target_layer":
        return Control(name, default, "several", layers)
    if name == "layer":
        return Control(name, default, "choice", layers)
    if name == "zooms":
        return Control(name, default, "several", ZOOMS)
    if isinstance(default, bool):
        return Control(name, default, "switch")
    annotation = str(inspect.signature(function).parameters[name].annotation)
    kind = "whole" if "int" in annotation else "number"
    if default is None:
        if kind == "number" and "float" not in annotation:
            return None
        return Control(name, default, kind, low=0 if kind == "whole" else -FREE, high=FREE)
    high = LARGEST_SEED if name == "seed" else MOST * max(default, 1)
    return Control(name, default, kind, high=high)


def chosen_options(method: str, values: Mapping[str, Any], layers: Sequence[str]) -> dict[str, Any]:
    """The options of a method that differ from their defaults, as a config has them.

    Raises `PageError` for values that the controls do not offer.
    """
    known = {control.name: control for control in controls_of(method, layers)}
    checked = {name: known[name].checked(value) for name, value in values.items() if name in known}
    return {name: value for name, value in checked.items() if value != known[name].default}


class Facts(NamedTuple):
    """What the page knows of a network before anybody brings a picture.

    `classes` is their number. `layers` are those that return feature maps or tokens of the image,
    with what they return. Both are empty for a network that gives no logits.
    """

    classes: int
    layers: dict[str, str]


def facts_of(classifier: Classifier) -> Facts:
    """Find the facts by a pass of an empty image."""
    side = classifier.resolution or classifier.image_size
    network = classifier.network
    with network_errors(classifier):
        images = paddle.zeros([1, classifier.channels, side, side])
        try:
            passed = record_forward(network, images, layers=network.sublayers())
        except ModelError:
            return Facts(0, {})
    layouts, layers = Layouts(network, images, passed.calls), {}
    for layer, output in passed.calls:
        if layouts.of(layer, output) is not None:
            shape = "×".join(str(side) for side in output.shape[1:])
            layers[layouts.names[id(layer)]] = shape
    return Facts(0 if passed.logits is None else passed.logits.shape[1], layers)
