"""The table of methods, and the choice of one with its options as a config makes it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, NamedTuple

import paddle

from .baselines import BASELINES
from .cam import (
    ablation_cam,
    eigen_cam,
    eigen_grad_cam,
    grad_cam,
    grad_cam_pp,
    guided_grad_cam,
    layer_cam,
    score_cam,
    xgrad_cam,
)
from .errors import ConfigError, look_up, nearest, options_of
from .files import expanded
from .images import load_image
from .models import Classifier
from .perturbation import occlusion, rise
from .saliency import (
    AVERAGES,
    GRADIENT_METHODS,
    QUADRATURES,
    activation_gradient,
    deconvnet,
    grad_times_input,
    gradient,
    guided_backprop,
    integrated_gradients,
    reduce,
    saliency,
    smooth_grad,
)
from .targets import SCORES

# The names used in YAML. A new method: its function, its line here, its test, a YAML.
METHODS = {
    "gradient": gradient,
    "saliency": saliency,
    "grad_times_input": grad_times_input,
    "guided_backprop": guided_backprop,
    "deconvnet": deconvnet,
    "integrated_gradients": integrated_gradients,
    "smooth_grad": smooth_grad,
    "activation_gradient": activation_gradient,
    "grad_cam": grad_cam,
    "grad_cam_pp": grad_cam_pp,
    "xgrad_cam": xgrad_cam,
    "layer_cam": layer_cam,
    "eigen_cam": eigen_cam,
    "eigen_grad_cam": eigen_grad_cam,
    "score_cam": score_cam,
    "ablation_cam": ablation_cam,
    "guided_grad_cam": guided_grad_cam,
    "occlusion": occlusion,
    "rise": rise,
}

# What a method's panels show, where that is not its name.
QUANTITIES = {
    "gradient": "gradients",
    "saliency": "gradients",
    "grad_times_input": "gradient x input",
    "deconvnet": "deconvnet signal",
    "smooth_grad": "SmoothGrad",
    "activation_gradient": "filter gradients",
    "grad_cam": "Grad-CAM",
    "grad_cam_pp": "Grad-CAM++",
    "xgrad_cam": "XGrad-CAM",
    "layer_cam": "Layer-CAM",
    "eigen_cam": "Eigen-CAM",
    "eigen_grad_cam": "Eigen-Grad-CAM",
    "score_cam": "Score-CAM",
    "ablation_cam": "Ablation-CAM",
    "guided_grad_cam": "guided Grad-CAM",
    "rise": "RISE",
}
WITHOUT_CLASS = {"eigen_cam", "activation_gradient"}
TABLES: dict[str, Mapping[str, Any]] = {
    "score": SCORES,
    "quadrature": QUADRATURES,
    "average": AVERAGES,
}


class Choice(NamedTuple):
    """A method with its options; `channel` and `sign` apart, as a figure shows the map both ways.

    Methods without these two options have an empty `reduction`.
    """

    name: str
    options: dict[str, Any]
    reduction: dict[str, str]

    def attribution(
        self, network: paddle.nn.Layer, images: paddle.Tensor, targets: Any
    ) -> tuple[paddle.Tensor, paddle.Tensor | None]:
        """The method's map before its reduction, and its completeness gap if it has one."""
        method, options = METHODS[self.name], dict(self.options)
        if self.reduction:
            options.update(channel="none", sign="signed")
        if "return_gap" in options_of(method):
            return method(network, images, targets, **options, return_gap=True)
        return method(network, images, targets, **options), None

    def reduced(self, attribution: paddle.Tensor) -> paddle.Tensor:
        """The map as `channel` and `sign` reduce it."""
        return reduce(attribution, **self.reduction) if self.reduction else attribution

    def ready(self, classifier: Classifier) -> Choice:
        """The same with the picture read that `baseline` may name."""
        baseline = self.options.get("baseline")
        if not isinstance(baseline, str) or baseline in (*BASELINES, "random"):
            return self
        if not os.path.isfile(expanded(baseline)):
            known = ", ".join((*BASELINES, "random"))
            raise ConfigError(f"method.baseline '{baseline}' is no image file, nor one of {known}")
        image = classifier.prepare([load_image(baseline)])
        return self._replace(options={**self.options, "baseline": image})

    @property
    def quantity(self) -> str:
        """What the map shows."""
        return QUANTITIES.get(self.name, self.name.replace("_", " "))

    def title(self, with_options: bool = False) -> str:
        """Over a column of a grid; with its options where they tell it from another column."""
        title = self.name if self.name in ("gradient", "saliency") else self.quantity
        if with_options and self.options:
            title += f" ({', '.join(_shown(*option) for option in self.options.items())})"
        return title[0].upper() + title[1:]

    def titles(self) -> tuple[str, str]:
        """Of the panel by channel, and of the panel in one channel."""
        quantity = self.quantity
        channel, sign = self.reduction.get("channel"), self.reduction.get("sign")
        part = f"{sign} " if channel == "none" and sign != "signed" else ""
        together = f"{channel} of {sign} {quantity}" if channel in ("max", "sum") else quantity
        if (channel, sign) == ("max", "absolute"):
            together = f"max {quantity}"
        by_channel = f"{part}{quantity} across RGB channels"
        return by_channel[0].upper() + by_channel[1:], together[0].upper() + together[1:]


def choose_method(method: str | Mapping, where: str = "method") -> Choice:
    """A method's name, or its name and options, checked; `ConfigError` for what it lacks."""
    options = {"name": method} if isinstance(method, str) else dict(method)
    name = options.pop("name", None)
    if not isinstance(name, str) or name not in METHODS:
        raise ConfigError(f"unknown method '{name}'; {nearest(str(name), METHODS)}")
    known = options_of(METHODS[name])
    known.pop("return_gap", None)
    for option, value in options.items():
        if option not in known:
            raise ConfigError(f"unknown key '{where}.{option}'; {nearest(str(option), known)}")
        _check_option(option, value, known[option], where)
    keys = [key for key in ("channel", "sign") if key in known]
    reduction: dict[str, str] = {key: options.pop(key, known[key]) for key in keys}
    choice = Choice(name, options, reduction)
    choice.reduced(paddle.zeros([1, 1, 1, 1]))  # a wrong value shows before any work
    return choice


def _check_option(option: str, value: Any, default: Any, where: str) -> None:
    """Raise `ConfigError` unless an option is of the kind that its default is."""
    if option in TABLES:
        look_up(option, value, TABLES[option])
    elif option == "of":
        inner = choose_method(value, f"{where}.of") if isinstance(value, (str, dict)) else None
        look_up("method", inner.name if inner else value, GRADIENT_METHODS)
    elif isinstance(default, bool):
        if not isinstance(value, bool):
            raise ConfigError(f"{where}.{option} must be true or false, not {value!r}")
    elif isinstance(default, (int, float)):
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ConfigError(f"{where}.{option} must be a number, not {value!r}")
    else:
        several = isinstance(value, list) and option in ("target_layer", "zooms")
        for item in value if several else [value]:
            if isinstance(item, bool) or not isinstance(item, (str, int, float, type(None))):
                raise ConfigError(f"{where}.{option} must be a single value, not {value!r}")


def _shown(option: str, value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(str(part) for part in value.values())
    if isinstance(value, str):
        return value
    if isinstance(value, (list, tuple)):
        return " + ".join(map(str, value))
    return option if value is True else f"{option} {value}"
