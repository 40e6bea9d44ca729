"""A score as a config names it: of a class, a function of the user's, or a ready-made score."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Union

import numpy as np
import paddle

from ..core.checks import did_you_mean, look_up, options_of
from ..core.errors import ConfigError, ScoreError, VisualizeError
from ..core.fingerprint import array_digest, digest
from ..core.images import load_image
from ..models.class_names import parse_target
from ..models.classifier import Classifier, network_errors
from ..models.fingerprint import weights_digest
from ..models.registry import imported
from ..network.scores import SCORES, Contrast, HeldScore, Score, score_name
from ..network.scores.ready_made import box, segmentation, similarity
from ..network.scores.ready_made import contrast as contrast_of

# A name, `package.module:callable`, or a group of keys with a name.
Asked = Union[str, Mapping[str, Any], Callable]


def _segmentation(
    classifier: Classifier, *, target: str | int, mask: str | None = None
) -> HeldScore:
    index = _class(target, classifier)
    seen = None
    if mask is not None:
        if not isinstance(mask, str):
            raise ConfigError(f"score.mask must be an image file, not {mask!r}")
        seen = classifier.seen_mask(load_image(mask).convert("L"))
    return _titled(segmentation(index, seen), "segmentation", index, classifier)


def _box(
    classifier: Classifier,
    *,
    corners: Sequence[float],
    target: str | int,
    boxes: int | str = 0,
    scores: int | str = 1,
    form: str = "corners",
    relative: bool = False,
) -> HeldScore:
    index = _class(target, classifier)
    options: dict[str, Any] = {"boxes": boxes, "scores": scores, "form": form}
    score = box(corners, index, relative=relative, **options)
    return _titled(score, "box", index, classifier)


def _similarity(classifier: Classifier, *, image: str) -> HeldScore:
    if not isinstance(image, str):
        raise ConfigError(f"score.image must be an image file, not {image!r}")
    second = classifier.prepare([classifier.load(image)[0]])
    with network_errors(classifier, (second.shape[3], second.shape[2])):
        score = similarity(second, classifier.network)
    score.title = f"similarity to {Path(image).name}"
    return score


# The keys are the names used in YAML. The keyword options are the other keys.
READY_MADE: dict[str, Callable[..., HeldScore]] = {
    "segmentation": _segmentation,
    "box": _box,
    "similarity": _similarity,
}


def is_function(score: Any) -> bool:
    """Whether a score, as a config names it, is a function and not the score of a class."""
    return ":" in score if isinstance(score, str) else not is_contrast(score)


def is_contrast(score: Any) -> bool:
    """Whether a score, as a config names it, is that of a class rather than others."""
    return isinstance(score, Contrast) or (isinstance(score, Mapping) and "contrast" in score)


def check_score(score: Any, where: str = "score") -> None:
    """Check what can be checked without a network. Raises `ConfigError` or `ScoreError`."""
    if callable(score) or isinstance(score, Contrast):
        return
    if isinstance(score, str) and ":" in score:
        _imported(score)
    elif is_contrast(score):
        _check_contrast(score, where)
    elif isinstance(score, Mapping):
        name = score.get("name")
        if isinstance(name, str) and ":" in name:
            _imported(name)
            return
        given = {key: value for key, value in score.items() if key != "name"}
        known = options_of(look_up(f"{where}.name", name, READY_MADE))
        for key in given:
            if key not in known:
                raise ConfigError(f"unknown key '{where}.{key}'; {did_you_mean(str(key), known)}")
        for key, default in known.items():
            if default is inspect.Parameter.empty and key not in given:
                raise ConfigError(f"{where} {name} needs the key {key}")
    elif not isinstance(score, str) or score not in SCORES:
        ways = ", ".join((*SCORES, "package.module:callable"))
        groups = ", ".join(READY_MADE)
        raise ConfigError(
            f"unknown score {score!r}; use {ways}, or a group of keys: contrast, or the name "
            f"{groups}"
        )


def configured_score(score: Asked, classifier: Classifier) -> Score:
    """The score that a config asks for: the name of a score of a class, or a function.

    A group whose name is `package.module:callable` calls it with the other keys of the group; it
    returns the function. Raises a `VisualizeError` for what does not exist or does not fit.
    """
    check_score(score)
    if isinstance(score, str):
        return _imported(score) if ":" in score else score
    if isinstance(score, Mapping) and is_contrast(score):
        return _contrast(classifier, **score)
    if not isinstance(score, Mapping):
        return score
    options = {str(key): value for key, value in score.items() if key != "name"}
    if score["name"] in READY_MADE:
        return READY_MADE[score["name"]](classifier, **options)
    try:
        made = _imported(score["name"])(**options)
    except VisualizeError:
        raise
    except Exception as error:  # it is the user's own code
        raise ScoreError(
            f"cannot make the score {score['name']}: {type(error).__name__}: {error}"
        ) from error
    if not callable(made):
        raise ScoreError(
            f"{score['name']} must return a function (outputs, images) → [N], not a "
            f"{type(made).__name__}"
        )
    return made


def _check_contrast(score: Mapping, where: str) -> None:
    for key in score:
        if key not in ("contrast", "weight"):
            raise ConfigError(
                f"unknown key '{where}.{key}'; {did_you_mean(str(key), ('contrast', 'weight'))}"
            )
    contrast_of("top1", score.get("weight", 1.0))
    others = score["contrast"]
    several = others if isinstance(others, list) else [others]
    if not several or any(type(each) not in (str, int) for each in several):
        raise ConfigError(
            f"{where}.contrast must be classes, by their names or indices, or top3, not {others!r}"
        )


def _contrast(classifier: Classifier, *, contrast: Any, weight: float = 1.0) -> Contrast:
    if isinstance(contrast, str) and re.fullmatch(r"\s*top[0-9]+\s*", contrast):
        return contrast_of(contrast, weight)
    several = contrast if isinstance(contrast, list) else [contrast]
    return contrast_of([_class(each, classifier, "contrast") for each in several], weight)


def score_fingerprint(score: Callable) -> list:
    """What decides the values of a score that is a function: its name, its code and its data.

    The data are its attributes, defaults and arguments, and the variables of the function around.
    Of a network among them its weights count.
    """
    if isinstance(score, partial):
        return [score_fingerprint(score.func), _plain([score.args, score.keywords])]
    try:
        code = digest(inspect.getsource(score if inspect.isroutine(score) else type(score)))
    except (OSError, TypeError):  # it was made without a file
        code = ""
    data = [getattr(score, name, None) for name in ("__dict__", "__defaults__", "__kwdefaults__")]
    around = [cell.cell_contents for cell in getattr(score, "__closure__", None) or ()]
    return [score_name(score), code, _plain([*data, around])]


def _plain(value: Any) -> Any:
    if isinstance(value, paddle.nn.Layer):
        return weights_digest(value)
    if isinstance(value, paddle.Tensor):
        value = value.numpy()
    if isinstance(value, np.ndarray):
        return array_digest(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return value if isinstance(value, (str, int, float, type(None))) else type(value).__name__


def _imported(name: str) -> Callable:
    found = imported(name)
    if not callable(found):
        raise ScoreError(f"{name} must be a function, not a {type(found).__name__}")
    return found


def _class(target: Any, classifier: Classifier, key: str = "target") -> int:
    index = None
    if isinstance(target, (str, int)) and not isinstance(target, bool):
        index = parse_target(target, classifier.labels)
    if index is None:
        raise ConfigError(f"score.{key} must be a class index or a class name, not {target!r}")
    return index


def _titled(score: HeldScore, name: str, index: int, classifier: Classifier) -> HeldScore:
    score.title = f"{name} of {classifier.class_name(index)}"
    return score
