"""A method with its options, as a config names it."""

from __future__ import annotations

import glob
import os
from collections.abc import Mapping
from typing import Any, NamedTuple

import paddle

from ..core.checks import did_you_mean, look_up, options_of
from ..core.errors import ConfigError, ModelError
from ..core.files import expand_home
from ..core.images import find_images
from ..models.classifier import Classifier
from ..network.scores import Contrast, score_name
from .attention.attention_rollout import HEAD_FUSIONS
from .baselines import BASELINES
from .configured_score import check_score, configured_score, is_contrast, is_function
from .gradient.full_grad import POST_PROCESSING
from .gradient.smooth_grad import AVERAGES, GRADIENT_METHODS
from .methods import METHODS, TITLES, WITHOUT_CLASS, WITHOUT_SUM
from .path.integral import QUADRATURES
from .reduction import reduce
from .relevance.rules import COMPOSITES
from .superpixels.segments import SEGMENTATIONS, SEVERAL_SCALES

TABLES: dict[str, Mapping[str, Any]] = {
    "quadrature": QUADRATURES,
    "average": AVERAGES,
    "post_processing": POST_PROCESSING,
    "head_fusion": HEAD_FUSIONS,
    "composite": COMPOSITES,
    "segments": {**SEGMENTATIONS, **SEVERAL_SCALES},
}
LISTS = ("target_layer", "attention_layer", "zooms", "baselines")  # may be lists
NAMED = (*BASELINES, "random")
MOST_BASELINES = 256  # of more pictures, every second, third … is taken


class ConfiguredMethod(NamedTuple):
    """A method with its options.

    `channel` and `sign` are kept apart in `reduction`, because a figure shows the map with and
    without them. Methods that do not have these two options have an empty `reduction`. `sources`
    are the options whose pictures have been loaded, as they were given.
    """

    name: str
    options: dict[str, Any]
    reduction: dict[str, str]
    sources: dict[str, Any] = {}  # noqa: RUF012

    def attribution(
        self, network: paddle.nn.Layer, images: paddle.Tensor, targets: Any
    ) -> tuple[paddle.Tensor, paddle.Tensor | None]:
        """The map before its reduction, and the completeness gap if the method has one.

        Raises `ModelError` for a map that is NaN or infinite somewhere.
        """
        method, options, gap = METHODS[self.name], dict(self.options), None
        if self.reduction:
            options.update(channel="none", sign="signed")
        if "return_gap" in options_of(method) and self.name not in WITHOUT_SUM:
            found, gap = method(network, images, targets, **options, return_gap=True)
        else:
            found = method(network, images, targets, **options)
        if not bool(paddle.isfinite(found).all()):
            raise ModelError(f"{self.name} gave a map with numbers that are not finite")
        return found, gap

    def reduced(self, attribution: paddle.Tensor) -> paddle.Tensor:
        """The map as `channel` and `sign` reduce it."""
        return reduce(attribution, **self.reduction) if self.reduction else attribution

    @property
    def function(self) -> Any:
        """The score, if it is a function and not that of a class; else None."""
        score = self.options.get("score", "logit")
        return score if is_function(score) else None

    @property
    def contrast(self) -> Contrast | None:
        """The score of a prepared method, if it is that of a class rather than others."""
        score = self.options.get("score")
        return score if isinstance(score, Contrast) else None

    def prepared(self, classifier: Classifier) -> ConfiguredMethod:
        """The same method with the images that its options name, and with its score.

        Raises `ConfigError` for baselines that are neither pictures nor the name of a baseline.
        """
        options, sources = dict(self.options), {}
        if self.function is not None or is_contrast(options.get("score")):
            options["score"] = configured_score(options["score"], classifier)
        for option in ("baseline", "baselines"):
            value = options.get(option)
            if isinstance(value, (str, list)) and value not in NAMED:
                sources[option], options[option] = value, _pictures(value, classifier, option)
        return self._replace(options=options, sources=sources)

    @property
    def batch_size(self) -> int:
        """The images in a pass, if the options say it; else 1."""
        size = self.options.get("batch_size")
        return size if isinstance(size, int) else 1

    @property
    def quantity(self) -> str:
        """What the map shows."""
        return TITLES.get(self.name, self.name.replace("_", " "))

    def column_title(self, with_options: bool = False) -> str:
        """The title over a column of a grid. The options tell columns of one method apart."""
        title = self.name if self.name in ("gradient", "saliency") else self.quantity
        if with_options and self.options:
            shown = {**self.options, **self.sources}
            title += f" ({', '.join(_shown(*option) for option in shown.items())})"
        return title[0].upper() + title[1:]

    def panel_titles(self) -> tuple[str, str]:
        """The titles of the panel in colour and of the panel in one channel."""
        quantity = self.quantity
        channel, sign = self.reduction.get("channel"), self.reduction.get("sign")
        part = f"{sign} " if channel == "none" and sign != "signed" else ""
        together = f"{channel} of {sign} {quantity}" if channel in ("max", "sum") else quantity
        if (channel, sign) == ("max", "absolute"):
            together = f"max {quantity}"
        by_channel = f"{part}{quantity} across RGB channels"
        return by_channel[0].upper() + by_channel[1:], together[0].upper() + together[1:]


def configure_method(method: str | Mapping, where: str = "method") -> ConfiguredMethod:
    """Check a method's name, or its name and options. Raises `ConfigError` for unknown ones."""
    options = {"name": method} if isinstance(method, str) else dict(method)
    name = options.pop("name", None)
    if not isinstance(name, str) or name not in METHODS:
        raise ConfigError(f"unknown method '{name}'; {did_you_mean(str(name), METHODS)}")
    known = options_of(METHODS[name])
    known.pop("return_gap", None)
    if name in WITHOUT_CLASS and is_contrast(options.get("score")):
        raise ConfigError(f"{name} gives every class the same map, so leave out the contrast")
    for option, value in options.items():
        if option not in known:
            raise ConfigError(f"unknown key '{where}.{option}'; {did_you_mean(str(option), known)}")
        _check_option(option, value, known[option], where)
    keys = [key for key in ("channel", "sign") if key in known]
    reduction: dict[str, str] = {key: options.pop(key, known[key]) for key in keys}
    choice = ConfiguredMethod(name, options, reduction)
    choice.reduced(paddle.zeros([1, 1, 1, 1]))  # so that a wrong value is refused before any work
    return choice


def _pictures(sources: str | list[str], classifier: Classifier, option: str) -> paddle.Tensor:
    """The pictures in files and folders, as the network sees them: `[B, C, H, W]`.

    `baseline` is a single file. Raises `ConfigError` for what is neither a picture nor a name.
    """
    for source in [sources] if isinstance(sources, str) else sources:
        path = str(expand_home(str(source)))
        one = option == "baseline" or not (os.path.isdir(path) or glob.has_magic(path))
        if one and not os.path.isfile(path):
            wanted = "image file" if option == "baseline" else "image file or folder"
            raise ConfigError(
                f"method.{option} '{source}' is no {wanted}, and not one of {', '.join(NAMED)}"
            )
    found = find_images(sources)
    chosen = found[:: -(-len(found) // MOST_BASELINES)]
    return classifier.prepare([classifier.load(path)[0] for path in chosen])


def _check_option(option: str, value: Any, default: Any, where: str) -> None:
    """Raise `ConfigError` unless an option has the same type as its default."""
    if option in TABLES:
        look_up(option, value, TABLES[option])
    elif option == "score":
        check_score(value, f"{where}.score")
    elif option == "of":
        inner = configure_method(value, f"{where}.of") if isinstance(value, (str, dict)) else None
        look_up("method", inner.name if inner else value, GRADIENT_METHODS)
        if inner and (inner.function is not None or is_contrast(inner.options.get("score"))):
            raise ConfigError(f"give the score as {where}.score, not as {where}.of.score")
    elif isinstance(default, bool):
        if not isinstance(value, bool):
            raise ConfigError(f"{where}.{option} must be true or false, not {value!r}")
    elif isinstance(default, (int, float)):
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ConfigError(f"{where}.{option} must be a number, not {value!r}")
    else:
        several = isinstance(value, list) and option in LISTS
        for item in value if several else [value]:
            if isinstance(item, bool) or not isinstance(item, (str, int, float, type(None))):
                raise ConfigError(f"{where}.{option} must be a single value, not {value!r}")


def _shown(option: str, value: Any) -> str:
    if callable(value) or isinstance(value, Contrast):
        return score_name(value)
    if isinstance(value, Mapping):
        return ", ".join(str(part) for part in value.values())
    if isinstance(value, str):
        return value
    if isinstance(value, (list, tuple)):
        return " + ".join(map(str, value))
    if isinstance(value, bool):
        return option if value else f"without {option}"
    return f"{option} {value}"
