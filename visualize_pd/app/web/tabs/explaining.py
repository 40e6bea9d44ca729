"""What the tab that explains does, without the components of the page."""

from __future__ import annotations

import io
import re
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import paddle
import yaml

from ....attribution.configured import ConfiguredMethod, configure_method
from ....attribution.methods import METHODS, WITHOUT_CLASS
from ....core.checks import options_of
from ....core.config import as_dict
from ....core.errors import ImageError
from ....models.classifier import Classifier, network_errors
from ....models.preprocess import Geometry
from ....network import hooks
from ....network.batching import check_memory
from ....network.fast import fast_layers
from ....network.kept_pass import reuse_pass
from ....network.outputs import activation_of
from ....network.scores import check_class, logits_of, probabilities
from ...config.schema import ExplainConfig
from ...drawing import heat_over
from ...explain.maps import Map, maps_of
from ...explain.run import explain
from ..controls import chosen_options
from ..session import Desk, Picture
from ..texts import PageError, Pair

MOST_METHODS = 4  # side by side
CONFIG, ARCHIVE = "explain.yaml", "explanation.zip"
COMMAND = f"visualize-pd explain --config {CONFIG}"
COUNT: Pair = ("choose one to {} methods", "请选择 1 到 {} 种方法")
NO_METHOD: Pair = (
    "there is no method {}; choose from the list",
    "没有 {} 这种方法，请从列表中选择",
)
ITSELF: Pair = (
    "a class cannot be compared with itself; choose another one",
    "一个类别不能与它自己比较，请选择另一个",
)
NOT_SEEN: Pair = (
    "the network does not see this part of the picture; choose another one",
    "网络看不到图片的这一部分，请选择其他位置",
)
NO_MAP: Pair = ("there is no map yet; choose a picture first", "还没有图，请先选择一张图片")


@dataclass
class Question:
    """What a person asks, and the answer that is on the page.

    `target` is None for the predicted class. `other` is the class of a contrast. `covered` is a
    square of the image, and `after` are the probabilities with it.
    """

    methods: list[str]
    options: dict[str, dict[str, Any]] = field(default_factory=dict)
    target: int | None = None
    other: int | None = None
    colormap: str = "auto"
    opacity: float = 0.5
    answer: Answer | None = None
    covered: Square | None = None
    after: np.ndarray | None = None


class Answer(NamedTuple):
    """The maps of some methods. `asked` are the methods as a config has them."""

    asked: list[dict[str, Any]]
    methods: list[ConfiguredMethod]
    maps: list[Map]


class Square(NamedTuple):
    """A square of the image that the network sees, in its pixels."""

    left: int
    top: int
    right: int
    bottom: int


def load_picture(classifier: Classifier, desk: Desk, path: str | Path, name: str = "") -> Picture:
    """Open a picture by the loader of the scripts. Raises `ImageError` for one that is unusable."""
    name = safe_name(name or Path(path).name)
    try:
        data = Path(path).read_bytes()
        photograph, digest = classifier.load(path)
    except OSError as error:
        raise ImageError(f"cannot read {name}: {error.strerror or error}") from error
    except ImageError as error:
        raise ImageError(str(error).replace(str(path), name)) from None
    view = classifier.view(photograph)
    width, height = view.geometry.image
    check_memory(classifier.network, [1, classifier.channels, height, width])
    images = classifier.images_of([view])
    with network_errors(classifier, (width, height)):
        kept = desk.kept_pass(classifier.network, images)
        shares = probabilities(kept.logits.detach(), activation_of(classifier.network))
    shown = classifier.to_pixels(images)[0] if view.picture is None else view.picture
    return Picture(name, data, digest, view, images, shares.numpy()[0], shown)


def safe_name(name: str) -> str:
    """A name for the file of a picture: letters, digits, dots, hyphens and spaces, at most 80."""
    name = re.sub(r"[^\w.\- ]", "_", Path(name).name).strip(". -")[-80:]
    return f"{name or 'picture'}.png" if name in ("", CONFIG) else name


def target_of(question: Question, picture: Picture) -> int:
    """The class that is explained."""
    return int(picture.probabilities.argmax()) if question.target is None else question.target


def methods_of(question: Question, layers: Mapping[str, str]) -> list[dict[str, Any]]:
    """The methods with their options, as a config has them. The contrast is in their score."""
    if not 1 <= len(question.methods) <= MOST_METHODS:
        raise PageError(COUNT, MOST_METHODS)
    found = []
    for name in question.methods:
        if name not in METHODS:
            raise PageError(NO_METHOD, name)
        options = chosen_options(name, question.options.get(name, {}), list(layers))
        if question.other is not None and name not in WITHOUT_CLASS:
            options["score"] = {"contrast": question.other}
            if "relu" in options_of(METHODS[name]):
                options["relu"] = False  # keep what speaks for the other class
        found.append({"name": name, **options})
    return found


def answer(
    classifier: Classifier,
    desk: Desk,
    picture: Picture,
    question: Question,
    layers: Mapping[str, str],
) -> Answer:
    """The map of each method. The forward pass of the picture is used again where it can be."""
    asked = methods_of(question, layers)
    methods = [configure_method(each).prepared(classifier) for each in asked]
    target, network = target_of(question, picture), classifier.network
    check_class(target, len(picture.probabilities))
    if question.other == target:
        raise PageError(ITSELF)
    kept = desk.kept_pass(network, picture.images)
    with network_errors(classifier, picture.view.geometry.image), reuse_pass(kept):
        maps = [maps_of(method, network, picture.images, target)[0] for method in methods]
    return Answer(asked, methods, maps)


def drawn(picture: Picture, each: Map, colormap: str, opacity: float) -> np.ndarray:
    """A map in colours over its picture, `[H, W, 3]` uint8."""
    values = flat(picture, each)
    return heat_over(picture.shown, values, colormap, alpha=min(max(opacity, 0.0), 1.0))


def flat(picture: Picture, each: Map) -> np.ndarray:
    """A map at the size of the picture, `[H, W]`. Of several channels it is the largest size."""
    values = picture.view.shown(each.reduced, picture.shown)
    return np.abs(values).max(0) if len(values) > 1 else values[0]


def square_at(geometry: Geometry, x: float, y: float, share: float, whole: bool) -> Square:
    """The square around a point of the picture on the page, which is `x`, `y` in [0, 1].

    `share` is its side as a share of the shorter side of the image. `whole` tells that the page
    shows the whole picture, and not only what the network sees. Raises `PageError` for a point
    that the network does not see.
    """
    width, height = geometry.image
    column, row = x * width, y * height
    if whole:
        left, top, right, bottom = geometry.box
        inner = geometry.inner
        column = (x * geometry.picture[0] - left) / (right - left) * inner[0] + geometry.place[0]
        row = (y * geometry.picture[1] - top) / (bottom - top) * inner[1] + geometry.place[1]
    if not (0 <= column <= width and 0 <= row <= height):
        raise PageError(NOT_SEEN)
    side = max(1, round(min(width, height) * min(max(share, 0.02), 1)))
    first = min(max(round(column - side / 2), 0), width - side)
    upper = min(max(round(row - side / 2), 0), height - side)
    return Square(first, upper, first + side, upper + side)


def covered(classifier: Classifier, picture: Picture, square: Square) -> np.ndarray:
    """The probabilities `[classes]` if a square has the mean colour, as in occlusion."""
    network, images = classifier.network, picture.images.clone()
    images[:, :, square.top : square.bottom, square.left : square.right] = 0.0
    errors = network_errors(classifier, picture.view.geometry.image)
    with errors, hooks.frozen(network), fast_layers(), paddle.no_grad():
        logits = logits_of(network(images))
    return probabilities(logits, activation_of(network)).numpy()[0]


def config_of(base: ExplainConfig, picture: Picture, question: Question) -> ExplainConfig:
    """The config with which `method_1_pp.py` repeats the answer that is on the page."""
    if question.answer is None:
        raise PageError(NO_MAP)
    methods: list[Any] = question.answer.asked
    several = len(methods) > 1
    return ExplainConfig(
        device=base.device,
        fast=base.fast,
        images=picture.name,
        target="predicted" if question.target is None else question.target,
        method=methods[0],
        compare=methods if several else None,
        colormap=question.colormap,
        model=base.model.beside(),
        save_arrays=True,
    )


def config_text(config: ExplainConfig) -> str:
    """The YAML of a config, with the keys that differ from their defaults."""
    default = as_dict(ExplainConfig())
    values = {key: value for key, value in as_dict(config).items() if value != default[key]}
    if config.compare:
        values.pop("method", None)
    model, usual = as_dict(config.model), as_dict(type(config.model)())
    kept = {key: value for key, value in model.items() if key == "name" or value != usual[key]}
    values["model"] = kept
    beside = ", ".join(["the picture", *config.model.files])
    head = f"# Put this file beside {beside}, and run there:\n# {COMMAND}\n\n"
    return head + yaml.safe_dump(values, sort_keys=False, allow_unicode=True)


def results(classifier: Classifier, picture: Picture, config: ExplainConfig) -> dict[str, bytes]:
    """The files that `method_1_pp.py` writes with a config, by their names."""
    with tempfile.TemporaryDirectory(prefix="visualize_pd_") as folder:
        path = Path(folder) / picture.name
        path.write_bytes(picture.data)
        here = replace(config, images=str(path), output=str(Path(folder) / "out"))

        def ignore(_line: str) -> None:
            pass

        explain(here, ignore, ignore, classifier)
        written = sorted((Path(folder) / "out" / "method_1").iterdir())
        return {each.name: each.read_bytes() for each in written if each.suffix in (".jpg", ".npy")}


def archive(picture: Picture, config: ExplainConfig, files: Mapping[str, bytes]) -> bytes:
    """A ZIP file with the picture, the config and the results."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as found:
        found.writestr(picture.name, picture.data)
        found.writestr(CONFIG, config_text(config))
        for name, content in files.items():
            found.writestr(f"images/method_1/{name}", content)
    return data.getvalue()
