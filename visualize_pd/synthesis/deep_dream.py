"""DeepDream: amplify what a layer sees in a photograph (Mordvintsev et al. 2015)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import paddle

from ..core.checks import check_count
from ..core.errors import ConfigError
from ..core.images import IMAGENET_MEAN, IMAGENET_STD
from .ascent import Frame
from .builder import build_ascent
from .objectives import layer_energy
from .parametrisations import Parametrisation, Pixels
from .priors.transforms import resized
from .settings import Priors, Steps, grouped


def deep_dream(
    network: paddle.nn.Layer,
    layer: str,
    image: paddle.Tensor,
    *,
    octaves: int = 4,
    octave_scale: float = 1.4,
    parametrisation: Callable[[paddle.Tensor], Parametrisation] = Pixels,
    mean: Sequence[float] = IMAGENET_MEAN,
    std: Sequence[float] = IMAGENET_STD,
    resume: Frame | None = None,
    **options: Any,
) -> Iterator[Frame]:
    """Raise the energy of a layer, from a photograph of any size (Mordvintsev et al. 2015).

    The image grows through `octaves` sizes. Each is `octave_scale` times as large as the one
    before. What the ascent adds at one size is enlarged and added to the photograph at the next
    size, so that the details of the photograph are kept. The other options are the keys of `Steps`
    (`iterations` at each size, here by default 20; `learning_rate`, here 0.03) and of `Priors`.
    `mean` and `std` normalise; only `clamp` uses them. Yields frames at the photograph's size.
    """
    defaults = {"steps": Steps(20, learning_rate=0.03), "priors": Priors(total_variation=0.0)}
    steps, priors = grouped(options, **defaults)
    check_count("octaves", octaves)
    if not 1 < octave_scale < float("inf"):
        raise ConfigError(f"octave_scale must be over 1, not {octave_scale}")
    full = image.shape[2:]
    added = paddle.zeros_like(image)
    # The last frame of an octave belongs to it; the first frame of the next one repeats it.
    first = max(0, resume.iteration - 1) // steps.iterations if resume else 0
    for octave in range(first, octaves):
        size = _octave_size(full, octave_scale ** (octaves - 1 - octave))
        photograph, before = resized(image, size), octave * steps.iterations
        frames = build_ascent(
            network,
            layer_energy(layer),
            photograph + resized(added, size),
            steps,
            priors,
            parametrisation=parametrisation,
            mean=mean,
            std=std,
            resume=resume and resume._replace(iteration=resume.iteration - before),
        )
        resume = None
        for frame in frames:
            added = frame.image - photograph
            if frame.iteration or not octave:
                whole = image + resized(added, full)
                yield Frame(before + frame.iteration, whole, frame.seen, frame.state)


def _octave_size(full: Sequence[int], reduction: float) -> list[int]:
    return [max(1, round(side / reduction)) for side in full]
