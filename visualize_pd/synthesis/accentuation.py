"""Feature accentuation: strengthen what a class sees in a photograph (Hamblin et al. 2024)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import paddle

from ..core.images import IMAGENET_MEAN, IMAGENET_STD
from ..network.layers.feature_maps import middle_layer
from .ascent import Frame
from .builder import build_ascent
from .objectives import accentuated_score
from .parametrisations import Fourier, Parametrisation
from .settings import Priors, Steps, grouped


def accentuation(
    network: paddle.nn.Layer,
    target: int | Sequence[int],
    image: paddle.Tensor,
    *,
    layer: str | None = None,
    nearness: float = 5.0,
    parametrisation: Callable[[paddle.Tensor], Parametrisation] = Fourier,
    mean: Sequence[float] = IMAGENET_MEAN,
    std: Sequence[float] = IMAGENET_STD,
    importance: bool = False,
    resume: Frame | None = None,
    **options: Any,
) -> Iterator[Frame]:
    """A photograph in which what a class sees becomes stronger (Hamblin et al. 2024).

    arg max_I S_c(I) − `nearness` · ‖Φ(I) − Φ(I₀)‖² / ‖Φ(I₀)‖², where I₀ is the photograph `image`,
    `[N, C, H, W]`, and Φ the output of `layer`, by default the last layer before the smallest
    feature maps. In each step both are changed at random in the same way. `target`: one class, or
    one for each image. The other options are the keys of `Steps` (`iterations`, here by default 60;
    `learning_rate`, here 0.015) and of `Priors` (here by default `rotation` 5, `zoom` 0.95 to 1.3,
    `total_variation` 0). The images are normalised by `mean` and `std`, which only `clamp` uses.
    """
    defaults = (
        Steps(iterations=60, learning_rate=0.015),
        Priors(rotation=5, zoom=[0.95, 1.3], total_variation=0.0),
    )
    steps, priors = grouped(options, steps=defaults[0], priors=defaults[1])
    objective = accentuated_score(target, layer or middle_layer(network, image), nearness)
    yield from build_ascent(
        network,
        objective,
        image,
        steps,
        priors,
        parametrisation=parametrisation,
        mean=mean,
        std=std,
        beside=image,
        importance=importance,
        resume=resume,
    )
