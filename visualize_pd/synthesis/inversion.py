"""Inversion: an image with the same features as a photograph (Mahendran & Vedaldi 2014)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import paddle

from ..core.images import IMAGENET_MEAN, IMAGENET_STD
from .ascent import Frame, noise
from .builder import build_ascent
from .objectives import feature_similarity
from .parametrisations import Parametrisation, Pixels
from .settings import Priors, Steps, grouped

BETA = 2.0


def inversion(
    network: paddle.nn.Layer,
    layer: str,
    image: paddle.Tensor,
    *,
    init: paddle.Tensor | None = None,
    parametrisation: Callable[[paddle.Tensor], Parametrisation] = Pixels,
    mean: Sequence[float] = IMAGENET_MEAN,
    std: Sequence[float] = IMAGENET_STD,
    resume: Frame | None = None,
    **options: Any,
) -> Iterator[Frame]:
    """An image with the same features in a layer as `image` (Mahendran & Vedaldi 2014, equation 1).

    arg min_I ‖Φ(I) − Φ(I₀)‖² / ‖Φ(I₀)‖² + `alpha_norm` · ‖I‖_α^α + `total_variation` · R_Vβ(I),
    where Φ is the output of the layer. It starts from `noise`, or from `init`. The other options
    are the keys of `Steps` (`iterations`, here by default 200) and of `Priors` (here by default
    `shift` 2, `alpha_norm` 1e-7, `total_variation` 1e-5, `beta` 2). The score of a frame is minus
    the first term, the distance of the features. The images are normalised by `mean` and `std`,
    which only `clamp` uses.
    """
    defaults = Priors(shift=2, alpha_norm=1e-7, total_variation=1e-5)
    steps, priors = grouped(options, steps=Steps(iterations=200), priors=defaults)
    if priors.beta is None:
        priors = dataclasses.replace(priors, beta=BETA)
    start = noise(tuple(image.shape), seed=steps.seed) if init is None else init
    objective = feature_similarity(network, layer, image)
    yield from build_ascent(
        network,
        objective,
        start,
        steps,
        priors,
        parametrisation=parametrisation,
        mean=mean,
        std=std,
        resume=resume,
    )
