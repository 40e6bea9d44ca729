"""The keys of `priors`, for configs and for Python calls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, Union

from ...core.config import key


@dataclass(frozen=True)
class Views:
    """The keys of `priors.views`: the whole image, and enlarged parts of it."""

    size: int = key(
        0,
        "shorter side of what the network sees; an image that is not larger than that, or 0, is "
        "seen alone and at its own size",
        minimum=0,
        maximum=4096,
    )
    parts: int = key(
        1, "number of parts that it sees besides the whole image", minimum=0, maximum=64
    )
    zoom: list[float] = key(
        lambda: [1.2, 1.6],
        "a part is enlarged by a factor between these two. In a large image the second one is at "
        "least the factor that shows it as large as `last_size` sees its pixels",
        minimum=1,
        maximum=100,
    )
    until: float = key(
        1.0, "share of the steps after which `last_size` counts", minimum=0, maximum=1
    )
    last_size: int = key(0, "the `size` of the last steps", minimum=0, maximum=4096)


@dataclass(frozen=True)
class Priors:
    """The keys of `priors`, which keep a generated image natural."""

    shift: int = key(
        16,
        "each step rolls the image by up to this number of pixels; 0 switches it off",
        minimum=0,
        maximum=4096,
    )
    rotation: float = key(
        0.0, "each step rotates the image by up to this number of degrees", minimum=0, maximum=180
    )
    zoom: list[float] = key(
        lambda: [1.0, 1.0],
        "each step enlarges the image by a factor between these two",
        minimum=0.1,
        maximum=10,
    )
    last_zoom: Optional[list[float]] = key(
        None,
        "the two factors of the zoom at the last step; those of `priors.zoom` change to them",
        minimum=0.1,
        maximum=10,
    )
    views: Views = key(Views, "what the network sees of the image in each step")
    colour_jitter: float = key(
        0.0,
        "each step changes each colour to factor · colour + offset, with ln factor and offset up "
        "to ± this number; it falls to 0 at the last step",
        minimum=0,
        maximum=2,
    )
    noise: float = key(
        0.0, "σ of noise in each step; it falls to 0 at the last step", minimum=0, maximum=10
    )
    statistics: Union[float, str] = key(
        0.0,
        "weight of the distance from the means and variances that the batch normalisations of the "
        "network have kept from training; `auto` chooses, and is 0 for a network without them",
        minimum=0,
    )
    statistics_form: str = key(
        "divergence",
        "`divergence` of two Gaussians, which does not depend on the scale of a channel; or "
        "`norms` of the differences, as DeepInversion has published it",
    )
    statistics_first: float = key(
        5.0, "the first of these layers counts this number of times", minimum=0
    )
    statistics_last: float = key(
        0.0, "so does the last one; from the second layer on it falls from 1 to this", minimum=0
    )
    total_variation: float = key(
        0.015, "weight of the total variation; 0 switches it off", minimum=0
    )
    colour_variation: float = key(
        0.0, "weight of the total variation of the colours alone, without brightness", minimum=0
    )
    fading: float = key(
        1.0,
        "share of `lambda` and `priors.alpha_norm` that is left at the last step; less gives more "
        "contrast",
        minimum=0,
        maximum=1,
    )
    beta: Optional[float] = key(
        None,
        "exponent of the differences in the total variation; by default 1, for an inversion 2",
        minimum=1,
        maximum=10,
    )
    alpha_norm: float = key(0.0, "weight of Σ |I|^α, which holds back extreme colours", minimum=0)
    alpha: float = key(6.0, "the α of `priors.alpha_norm`", minimum=1, maximum=20)
    blur: float = key(
        0.0,
        "σ in pixels of a blur of the image after every `priors.blur_every` steps. This key and "
        "the next four need `parametrisation=pixels`",
        minimum=0,
        maximum=100,
    )
    blur_every: int = key(4, "steps from one blur to the next", minimum=1)
    small_norm: float = key(
        0.0,
        "share of the pixels, those with the smallest norm, that become the mean colour after "
        "each step (Yosinski et al. 2015)",
        minimum=0,
        maximum=0.99,
    )
    small_contribution: float = key(
        0.0,
        "the same for the pixels that contribute least to the score",
        minimum=0,
        maximum=0.99,
    )
    clamp: bool = key(False, "limit pixels to the colours of a screen; `fourier` always does that")
