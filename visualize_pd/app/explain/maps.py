"""Compute the predictions of a network for pictures, and their maps."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import paddle

from ...attribution.configured import ConfiguredMethod
from ...core.errors import TargetError
from ...models.class_names import parse_target
from ...models.classifier import Classifier, network_errors
from ...models.preprocess import View
from ...network import hooks
from ...network.outputs import activation_of
from ...network.scores import (
    CHECKED,
    check_distinct,
    contrasted,
    logits_of,
    probabilities,
    score_name,
    score_outputs,
)


class TargetClasses(NamedTuple):
    """The classes to explain: these indices, or else the `top` classes of each image."""

    classes: tuple[int, ...] = ()
    top: int = 0

    def of(self, logits: np.ndarray) -> np.ndarray:
        """The class indices `[N, T]` for logits `[N, classes]`."""
        if self.top > logits.shape[1]:
            raise TargetError(
                f"cannot explain the top{self.top} of a network with {logits.shape[1]} classes; "
                "ask for fewer"
            )
        if self.top:
            return np.argsort(-logits, axis=1, kind="stable")[:, : self.top]
        return np.tile(self.classes, (len(logits), 1))


def parse_targets(target: str | int | Sequence, labels: Sequence[str] | None) -> TargetClasses:
    """Read `target` in a config: `predicted`, `top3`, a class by its name or index, or a list."""
    if not isinstance(target, (str, int)):
        indices = [parse_target(item, labels) for item in target]
        classes = [index for index in indices if index is not None]
        if not classes or len(classes) < len(indices):
            raise TargetError("a list in target must hold only classes, and at least one of them")
        return TargetClasses(tuple(dict.fromkeys(classes)))
    if isinstance(target, str) and re.fullmatch(r"\s*top[0-9]{1,4}\s*", target):
        top = int(target.strip()[3:])
        if not top:
            raise TargetError("top0 stands for no class; ask for top1 or more")
        return TargetClasses(top=top)
    index = parse_target(target, labels)
    return TargetClasses(top=1) if index is None else TargetClasses((index,))


class Map(NamedTuple):
    """The map of one image and class by one method.

    `whole` is `[C, H, W]`. `reduced` is the same map after the options `channel` and `sign`. `gap`
    is the completeness gap, if the method has one.
    """

    whole: np.ndarray
    reduced: np.ndarray
    gap: float | None

    @property
    def gap_share(self) -> str | None:
        """The completeness gap, if any, as a share of the value to which the map should sum."""
        if self.gap is None:
            return None
        expected = float(self.whole.sum(dtype="float64")) - self.gap
        return f"{abs(self.gap / expected):.2%}" if expected else f"{self.gap:.2g}"


class Explanation(NamedTuple):
    """One image, the predictions for it, and its maps: `maps[t][m]` is of class t by method m.

    `digest` is that of the image file. `picture` is that of a figure, `[H, W, 3]` uint8, and `view`
    says how maps are put on it. `others[t]` are the classes that class t is compared with, if a
    single contrast is among the scores. If a method has a score that is a function, `scores` has
    the values of these functions by their names, and there are no `probabilities` and no `targets`.
    """

    path: Path
    digest: str
    picture: np.ndarray
    probabilities: np.ndarray
    predicted: bool
    targets: list[int]
    others: list[list[int]]
    maps: list[list[Map]]
    view: View
    scores: dict[str, float]


def explain_batch(
    methods: Sequence[ConfiguredMethod],
    classifier: Classifier,
    wanted: TargetClasses,
    batch: Sequence[tuple[Path, View, str]],
) -> list[Explanation]:
    """Explain pictures of one size. Each comes with its path and the digest of its file.

    Each method calls the network first on the images themselves. So the forward pass of the first
    method also gives the predictions.
    """
    images = classifier.images_of([view for _, view, _ in batch])
    network, first = classifier.network, wanted.classes[0] if wanted.classes else None
    functions = [method.function for method in methods if method.function is not None]
    if functions:
        check_without_class(functions[0], wanted)
    CHECKED.add(network)  # it is checked here, and an error follows in place of a warning
    with network_errors(classifier, batch[0][1].geometry.image):
        with hooks.capture_first_output(network) as outputs:
            maps = [[maps_of(methods[0], network, images, first)]]
        if functions:
            maps[0] += [maps_of(method, network, images, None) for method in methods[1:]]
            scores = _scores(functions, network, outputs[0], images)
            targets, shares = np.empty((len(batch), 0), "int64"), np.empty((len(batch), 0))
        else:
            logits = logits_of(outputs[0]).detach()
            check_distinct(logits, images)
            targets, scores = wanted.of(logits.numpy()), {}
            shares = probabilities(logits, activation_of(network)).numpy()
        others = _others(methods, targets, outputs[0])
        for t, classes in enumerate(targets.T.tolist()):
            row = maps[0] if t == 0 else []
            row += [maps_of(method, network, images, classes) for method in methods[len(row) :]]
            maps[t:] = [row]
    pictures = classifier.to_pixels(images)
    return [
        Explanation(
            path,
            digest,
            pictures[n] if view.picture is None else view.picture,
            shares[n],
            bool(wanted.top),
            targets[n].tolist(),
            others[n].tolist(),
            [[of_method[n] for of_method in row] for row in maps],
            view,
            {name: float(values[n]) for name, values in scores.items()},
        )
        for n, (path, view, digest) in enumerate(batch)
    ]


def _others(methods: Sequence[ConfiguredMethod], targets: np.ndarray, outputs: Any) -> np.ndarray:
    """The classes `[N, T, K]` that each class is compared with, if there is a single contrast."""
    contrasts = {method.contrast for method in methods if method.contrast is not None}
    if len(contrasts) != 1 or not targets.size:
        return np.empty((*targets.shape, 0), "int64")
    (score,), logits = contrasts, logits_of(outputs)
    each = [contrasted(classes, logits, score)[:, 1:].numpy() for classes in targets.T.tolist()]
    return np.stack(each, axis=1)


def check_without_class(score: Any, wanted: TargetClasses) -> None:
    """Raise `TargetError` for classes beside a score that is a function."""
    if wanted != TargetClasses(top=1):
        raise TargetError(
            f"score {score_name(score)} is not that of a class; leave target at predicted, and "
            "give the class to the score if it needs one"
        )


def _scores(
    functions: Sequence[Any], network: paddle.nn.Layer, outputs: Any, images: paddle.Tensor
) -> dict[str, np.ndarray]:
    """The values of scores that are functions, `[N]`, by their names."""
    with paddle.no_grad():
        return {
            score_name(score): score_outputs(network, outputs, images, None, score).scores.numpy()
            for score in functions
        }


def notes_of(explained: Explanation) -> list[str]:
    """What the summary says about each class whose map shows nothing. Empty for the others.

    Of scores that are functions each has the same note.
    """
    flat = [any(np.ptp(each.whole) == 0 for each in row) for row in explained.maps]
    flat *= len(explained.scores) or 1
    return ["the map has the same value everywhere" if each else "" for each in flat]


def maps_of(
    method: ConfiguredMethod, network: paddle.nn.Layer, images: paddle.Tensor, targets: Any
) -> list[Map]:
    """The map of each image and its class by one method. `targets` are those of the method."""
    attribution, gap = method.attribution(network, images, targets)
    whole, reduced = attribution.numpy(), method.reduced(attribution).numpy()
    gaps = [None] * len(whole) if gap is None else gap.numpy().tolist()
    return [Map(*each) for each in zip(whole, reduced, gaps)]
