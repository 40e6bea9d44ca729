"""Scores ready to use: a contrast of classes, and those of a segment, a box, a similarity.

Each function returns a score, which every method takes as its option `score`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import paddle
from paddle.nn import functional

from ...core.checks import check_count, look_up
from ...core.errors import ScoreError
from ..hooks import frozen
from .class_scores import check_class
from .contrast import contrast as contrast
from .functions import HeldScore


def segmentation(target: int, mask: Any = None) -> HeldScore:
    """The mean logit of a class over its segment, for outputs `[N, classes, h, w]`.

    The segment is where the network predicts the class in the image itself. It stays the same while
    the image is changed (Seg-Grad-CAM, Vinogradova et al. 2020, equation 2). With `mask`, `[H, W]`
    or `[N, H, W]` of any size, it is where the mask is not 0. A network with a single class
    predicts it where its logit is over 0. Of several outputs the first one counts. Raises
    `ScoreError` for an empty segment or other outputs, `TargetError` for a class that is not there.
    """
    return _Segmentation(target, mask)


def box(
    corners: Sequence[float],
    target: int,
    *,
    boxes: int | str = 0,
    scores: int | str = 1,
    form: str = "corners",
    relative: bool = False,
) -> HeldScore:
    """The class logit of one box of a detector: that which overlaps `corners` most in the image.

    `corners`: (x0, y0, x1, y1) in pixels of the image that the network sees. `boxes` and `scores`
    are the places, or the keys, of boxes `[N, Q, 4]` and class logits `[N, Q, classes]` in the
    outputs. `form` of the boxes: corners (x0, y0, x1, y1) or centres (x, y, width, height). With
    `relative` they are shares of the image's width and height. The box is chosen in the image
    itself, and keeps its place among the Q boxes while the image is changed. Raises `ScoreError`
    for other outputs, and if no box overlaps.
    """
    return _Box(corners, target, boxes, scores, form, relative)


def similarity(to: Any, network: paddle.nn.Layer | None = None) -> HeldScore:
    """The cosine similarity of an image's embedding to another one, from -1 to 1.

    The embedding is the output of the network, flattened; of several outputs, the first. `to`: a
    vector `[D]`, or one for each image, `[N, D]`. With `network`, `to` is an image `[1, C, H, W]`,
    or one for each image, whose embedding is taken. Raises `ScoreError` for vectors of another
    length, or of zeros.
    """
    if network is not None:
        with frozen(network), paddle.no_grad():
            to = _first(network(to)).flatten(1)
    return _Similarity(to)


class _Segmentation(HeldScore):
    has_place = True

    def __init__(self, target: int, mask: Any):
        check_count("target", target, 0)
        self.target, self.title = target, f"segmentation of class {target}"
        self.mask = None if mask is None else _array(mask, "mask").astype(bool)
        if self.mask is not None and self.mask.ndim not in (2, 3):
            raise ScoreError(f"mask must be [H, W] or [N, H, W], not {list(self.mask.shape)}")

    def hold(self, outputs: Any, images: paddle.Tensor) -> paddle.Tensor:
        logits = self._logits(outputs)
        count, classes, height, width = logits.shape
        if self.mask is None:
            own = logits[:, 0] > 0 if classes == 1 else logits.argmax(axis=1) == self.target
            segment, hint = own.astype(logits.dtype), f"class {self.target} is predicted nowhere"
            hint += "; explain another class, or give a mask"
        else:
            mask = self.mask[None] if self.mask.ndim == 2 else self.mask
            if len(mask) not in (1, count):
                raise ScoreError(f"{len(mask)} masks for {count} images; give one for each")
            whole = paddle.to_tensor(mask[:, None].astype("float32")).astype(logits.dtype)
            segment = functional.adaptive_avg_pool2d(whole, [height, width]).squeeze(1)
            segment = segment.expand([count, height, width])
            hint = "the mask is empty; mark at least one pixel"
        for number, size in enumerate(segment.sum(axis=[1, 2]).numpy()):
            if size == 0:
                raise ScoreError(f"score segmentation, image {number + 1} of {count}: {hint}")
        return segment

    def of(self, outputs: Any, images: paddle.Tensor, held: paddle.Tensor) -> paddle.Tensor:
        logits = self._logits(outputs)[:, self.target]
        if logits.shape != held.shape:
            raise ScoreError(
                f"score segmentation holds segments {list(held.shape)}, but the outputs for the "
                f"changed images are {list(logits.shape)}"
            )
        return (logits * held).sum(axis=[1, 2]) / held.sum(axis=[1, 2])

    def _logits(self, outputs: Any) -> paddle.Tensor:
        logits = _first(outputs)
        if logits.ndim != 4:
            raise ScoreError(
                f"score segmentation needs outputs [N, classes, h, w], not {list(logits.shape)}"
            )
        check_class(self.target, logits.shape[1])
        return logits


class _Box(HeldScore):
    has_place = True

    def __init__(
        self,
        corners: Sequence[float],
        target: int,
        boxes: int | str,
        scores: int | str,
        form: str,
        relative: bool,
    ):
        self.corners = _array(corners, "corners").astype("float64")
        if self.corners.shape != (4,) or not (self.corners[:2] < self.corners[2:]).all():
            raise ScoreError("corners must be x0, y0, x1, y1 with x0 < x1 and y0 < y1")
        check_count("target", target, 0)
        if not isinstance(relative, bool):
            raise ScoreError(f"relative must be true or false, not {relative!r}")
        look_up("form", form, {"corners": None, "centres": None})
        self.target, self.title = target, f"box of class {target}"
        self.boxes, self.scores, self.form, self.relative = boxes, scores, form, relative

    def hold(self, outputs: Any, images: paddle.Tensor) -> paddle.Tensor:
        boxes = _part(outputs, self.boxes, "boxes").numpy().astype("float64")
        scores = self._scores(outputs)
        if boxes.ndim != 3 or boxes.shape[2] != 4 or boxes.shape[:2] != tuple(scores.shape[:2]):
            raise ScoreError(
                "score box needs boxes [N, Q, 4] and scores [N, Q, classes], not "
                f"{list(boxes.shape)} and {list(scores.shape)}; boxes and scores say where they are"
            )
        if self.relative:
            height, width = images.shape[2:]
            boxes = boxes * [width, height, width, height]
        if self.form == "centres":
            half = boxes[..., 2:] / 2
            boxes = np.concatenate([boxes[..., :2] - half, boxes[..., :2] + half], axis=2)
        overlaps = _overlaps(boxes, self.corners)
        for number, best in enumerate(overlaps.max(axis=1)):
            if not best > 0:
                raise ScoreError(
                    f"score box, image {number + 1} of {len(boxes)}: no box of the network "
                    f"overlaps {self.corners.tolist()}; check corners, form and relative"
                )
        return paddle.to_tensor(overlaps.argmax(axis=1)[:, None].astype("int64"))

    def of(self, outputs: Any, images: paddle.Tensor, held: paddle.Tensor) -> paddle.Tensor:
        logits = self._scores(outputs)[:, :, self.target]
        return paddle.take_along_axis(logits, held, axis=1).squeeze(1)

    def _scores(self, outputs: Any) -> paddle.Tensor:
        scores = _part(outputs, self.scores, "scores")
        if scores.ndim != 3:
            raise ScoreError(f"score box needs scores [N, Q, classes], not {list(scores.shape)}")
        check_class(self.target, scores.shape[2])
        return scores


class _Similarity(HeldScore):
    title = "similarity"

    def __init__(self, to: Any):
        vectors = _array(to, "to").astype("float64")
        self.to = vectors[None] if vectors.ndim == 1 else vectors
        if self.to.ndim != 2:
            raise ScoreError(f"to must be [D] or [N, D], not {list(vectors.shape)}")
        lengths = np.sqrt((self.to**2).sum(axis=1, keepdims=True))
        if not (np.isfinite(lengths).all() and (lengths > 0).all()):
            raise ScoreError("the vector for a similarity has only zeros, or is not finite")
        self.to = self.to / lengths

    def hold(self, outputs: Any, images: paddle.Tensor) -> paddle.Tensor:
        embedding = _first(outputs).flatten(1)
        count, length = embedding.shape
        if len(self.to) not in (1, count) or self.to.shape[1] != length:
            raise ScoreError(
                f"score similarity has vectors {list(self.to.shape)} for embeddings "
                f"{[count, length]}; give one vector of their length, or one for each image"
            )
        return paddle.to_tensor(self.to).astype(embedding.dtype).expand([count, length])

    def of(self, outputs: Any, images: paddle.Tensor, held: paddle.Tensor) -> paddle.Tensor:
        embedding = _first(outputs).flatten(1)
        return (embedding * held).sum(axis=1) / (embedding * embedding).sum(axis=1).sqrt()


def _array(values: Any, name: str) -> np.ndarray:
    try:
        array = np.asarray(values.numpy() if isinstance(values, paddle.Tensor) else values)
        array.astype("float64")
    except (TypeError, ValueError):
        raise ScoreError(f"{name} must be an array of numbers") from None
    return array


def _first(outputs: Any) -> paddle.Tensor:
    """The output of a network, or the first one of several."""
    first = outputs[0] if isinstance(outputs, (tuple, list)) and outputs else outputs
    if not isinstance(first, paddle.Tensor) or not paddle.is_floating_point(first):
        raise ScoreError(
            f"the network returns a {type(first).__name__}, not a tensor of floats; model.output "
            "picks one of several outputs"
        )
    return first


def _part(outputs: Any, place: int | str, name: str) -> paddle.Tensor:
    try:
        found = outputs[place]
    except (KeyError, IndexError, TypeError):
        there = list(outputs) if isinstance(outputs, Mapping) else type(outputs).__name__
        raise ScoreError(
            f"score box finds no {name} under {place!r} in the outputs, {there}"
        ) from None
    if isinstance(outputs, paddle.Tensor) or not isinstance(found, paddle.Tensor):
        raise ScoreError(f"score box needs outputs with a tensor of {name} under {place!r}")
    return found


def _overlaps(boxes: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes `[N, Q, 4]` with one box, `[N, Q]`."""
    low = np.maximum(boxes[..., :2], corners[:2])
    high = np.minimum(boxes[..., 2:], corners[2:])
    common = np.clip(high - low, 0, None).prod(axis=-1)
    areas = np.clip(boxes[..., 2:] - boxes[..., :2], 0, None).prod(axis=-1)
    return common / (areas + (corners[2:] - corners[:2]).prod() - common)
