"""An image of a class (Simonyan et al. 2013, section 2)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import paddle

from ..core.images import IMAGENET_MEAN, IMAGENET_STD
from .ascent import Frame, noise
from .builder import build_ascent
from .objectives import class_score
from .parametrisations import Parametrisation, Pixels
from .settings import Priors, Steps, grouped


def class_image(
    network: paddle.nn.Layer,
    target: int | Sequence[int],
    *,
    init: paddle.Tensor | None = None,
    l2: float = 1e-3,
    parametrisation: Callable[[paddle.Tensor], Parametrisation] = Pixels,
    mean: Sequence[float] = IMAGENET_MEAN,
    std: Sequence[float] = IMAGENET_STD,
    resume: Frame | None = None,
    **options: Any,
) -> Iterator[Frame]:
    """Yield the frames of arg max_I S_c(I) − λ‖I‖²₂ (Simonyan et al. 2013, equation 1), from 0 on.

    λ is `l2`. Several targets give one image each, and each is the same as for this target alone.
    `init`: the image to start from, by default faint `noise` of 224 × 224. The other options are
    the keys of `Steps` (`iterations`, `learning_rate`, `cooling`, `seed`) and of `Priors` (`shift`,
    `total_variation`, …). They are given one by one, or as groups, `steps` and `priors`. With
    `total_variation=0, shift=0` it is exactly the paper's equation. The images are normalised by
    `mean` and `std`, which only `clamp` uses. Raises `TargetError` for a class that the network
    does not have.
    """
    steps, priors = grouped(options, steps=Steps(), priors=Priors())
    count = 1 if isinstance(target, int) else len(target)
    start = noise((1, 3, 224, 224), seed=steps.seed) if init is None else init
    yield from build_ascent(
        network,
        class_score(target),
        paddle.concat([start] * count),
        steps,
        priors,
        l2=l2,
        parametrisation=parametrisation,
        mean=mean,
        std=std,
        resume=resume,
    )
