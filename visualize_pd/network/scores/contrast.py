"""Why one class and not others: the logit of a class less those of the others."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import paddle

from ...core.errors import ScoreError, TargetError
from .class_scores import check_class, resolve_targets


class Contrast(NamedTuple):
    """The score s_c − weight · mean of s_o over other classes o. It is made by `contrast`.

    `others` are class indices. Without them the others are the `top` most likely classes of each
    image, apart from c.
    """

    others: tuple[int, ...] = ()
    top: int = 0
    weight: float = 1.0

    @property
    def title(self) -> str:
        nearest = "the next" if self.top == 1 else f"the next {self.top}"
        of = nearest if self.top else ", ".join(map(str, self.others))
        return f"rather than {of}" + (f" × {self.weight:g}" if self.weight != 1 else "")


def contrast(others: str | int | Sequence[int], weight: float = 1.0) -> Contrast:
    """Why one class and not others: s_c − weight · mean of s_o (Finer-CAM, Zhang et al. 2025).

    s are logits, and c is the class that is explained. `others`: class indices, or `top3` for the
    three most likely classes of each image, apart from c. They stay the same while the image is
    changed. Raises `ScoreError` for other values, and for a weight that is not over 0.
    """
    number = isinstance(weight, (int, float)) and not isinstance(weight, bool)
    if not number or not 0 < weight < math.inf:
        raise ScoreError(f"the weight of a contrast must be a number over 0, not {weight!r}")
    if isinstance(others, str):
        match = re.fullmatch(r"\s*top([1-9][0-9]{0,3})\s*", others)
        if not match:
            raise ScoreError(f"a contrast is with class indices or with top3, not {others!r}")
        return Contrast(top=int(match[1]), weight=weight)
    several: Any = others if isinstance(others, (Sequence, np.ndarray)) else [others]
    if not len(several) or any(type(each) is not int or each < 0 for each in several):
        raise ScoreError(f"a contrast is with class indices or with top3, not {others!r}")
    return Contrast(tuple(dict.fromkeys(several)), weight=weight)


def contrasted(targets: Any, logits: paddle.Tensor, score: Contrast) -> paddle.Tensor:
    """The class of each image and those that it is compared with, `[N, 1 + K]`.

    `targets`: those of `resolve_targets`, or what an earlier call has returned. Raises
    `TargetError` for classes that do not exist, and for a class that is compared with itself.
    """
    if isinstance(targets, paddle.Tensor) and targets.ndim == 2:
        return targets
    own = resolve_targets(targets, logits).numpy()[:, None]
    classes = logits.shape[1]
    if score.top:
        if score.top >= classes:
            raise TargetError(
                f"a network with {classes} classes has no {score.top} others to compare a class "
                "with; ask for fewer"
            )
        order = np.argsort(-logits.detach().numpy(), axis=1, kind="stable")
        rest = order[order != own].reshape(len(own), classes - 1)
        others = rest[:, : score.top]
    else:
        for each in score.others:
            check_class(each, classes)
        others = np.tile(score.others, (len(own), 1))
        if (others == own).any():
            itself = int(own[(others == own).any(axis=1)][0, 0])
            raise TargetError(
                f"class {itself} cannot be compared with itself; name other classes in the contrast"
            )
    return paddle.to_tensor(np.concatenate([own, others], axis=1).astype("int64"))


def contrast_scores(logits: paddle.Tensor, classes: paddle.Tensor, weight: float) -> paddle.Tensor:
    """The scores `[N]` for the classes of `contrasted`."""
    count = classes.shape[1] - 1
    shares = paddle.to_tensor([1.0] + [-weight / count] * count, dtype=logits.dtype)
    return (paddle.take_along_axis(logits, classes, axis=1) * shares).sum(axis=1)
