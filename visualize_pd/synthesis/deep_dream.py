"""DeepDream: amplify what a layer sees in a photograph (Mordvintsev et al. 2015)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import paddle
from paddle.nn import functional

from ..core.checks import check_count
from ..core.errors import ConfigError
from ..core.images import IMAGENET_MEAN, IMAGENET_STD
from .ascent import Frame
from .builder import build_ascent
from .objectives import layer_energy
from .settings import Priors, Steps, grouped


def deep_dream(
    network: paddle.nn.Layer,
    layer: str,
    image: paddle.Tensor,
    *,
    octaves: int = 4,
    octave_scale: float = 1.4,
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
    The images are normalised by `mean` and `std`, which only `clamp` uses. Yields frames at the
    photograph's size, numbered through all octaves.
    """
    defaults = Steps(iterations=20, learning_rate=0.03), Priors(total_variation=0.0)
    steps, priors = grouped(options, steps=defaults[0], priors=defaults[1])
    check_count("octaves", octaves)
    if not 1 < octave_scale < float("inf"):
        raise ConfigError(f"octave_scale must be over 1, not {octave_scale}")
    full = image.shape[2:]
    added = paddle.zeros_like(image)
    # The last frame of an octave belongs to it; the first frame of the next one repeats it.
    first = max(0, resume.iteration - 1) // steps.iterations if resume else 0
    for octave in range(first, octaves):
        size = [max(1, round(side / octave_scale ** (octaves - 1 - octave))) for side in full]
        photograph = _resized(image, size)
        before = octave * steps.iterations
        frames = build_ascent(
            network,
            layer_energy(layer),
            photograph + _resized(added, size),
            steps,
            priors,
            mean=mean,
            std=std,
            resume=resume and resume._replace(iteration=resume.iteration - before),
        )
        resume = None
        for frame in frames:
            added = frame.image - photograph
            if frame.iteration or not octave:
                whole = image + _resized(added, full)
                yield Frame(before + frame.iteration, whole, frame.scores, frame.state)


def _resized(images: paddle.Tensor, size: Sequence[int]) -> paddle.Tensor:
    if list(images.shape[2:]) == list(size):
        return images
    return functional.interpolate(images, size=size, mode="bicubic")
