"""Changed copies of an image, to average a map over them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import paddle
from paddle.nn import functional

from ...core.errors import ConfigError
from ...network.scores import Score, check_images, score_name

View = tuple[paddle.Tensor, Callable[[paddle.Tensor], paddle.Tensor]]


def views_of(
    images: paddle.Tensor,
    aug_smooth: bool,
    zooms: float | Sequence[float],
    score: Score = "logit",
) -> list[View]:
    """Changed copies of the images, each with a function that undoes the change on a map.

    The first copy is not changed. `aug_smooth`: the images as they are and mirrored, with their
    normalised values × 1, 0.9 and 1.1, as in pytorch-grad-cam. `zooms`: all of these again at other
    sizes, as shares of the image's size. Raises `ConfigError` for zooms that are not in (0, 8],
    and if copies do not fit a `score` that has a place in the image.
    """
    check_images(images)
    shares: list[Any] = list(zooms) if isinstance(zooms, (list, tuple)) else [zooms]
    if not all(type(share) in (int, float) and 0 < share <= 8 for share in shares):
        raise ConfigError(f"zooms must be numbers over 0 and at most 8, not {shares}")
    if (aug_smooth or shares) and getattr(score, "has_place", False):
        raise ConfigError(
            f"score {score_name(score)} has a place in the image, which aug_smooth and zooms move; "
            "leave them out"
        )
    full = images.shape[2:]

    def view(flip: bool, factor: float, zoom: float) -> View:
        seen = paddle.flip(images, axis=[3]) if flip else images
        seen = seen * factor if factor != 1 else seen
        size = [max(1, round(side * zoom)) for side in full]
        if size != full:
            seen = functional.interpolate(seen, size=size, mode="bilinear")

        def back(heat: paddle.Tensor) -> paddle.Tensor:
            if size != full:
                heat = functional.interpolate(heat, size=full, mode="bilinear")
            return paddle.flip(heat, axis=[3]) if flip else heat

        return seen, back

    flips, factors = ((False, True), (1.0, 0.9, 1.1)) if aug_smooth else ((False,), (1.0,))
    return [
        view(flip, factor, zoom) for zoom in (1.0, *shares) for flip in flips for factor in factors
    ]
