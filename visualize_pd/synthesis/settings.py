"""The settings of an ascent, for configs and for Python calls."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Optional, Union

from ..core.config import key
from ..models.config import ModelConfig


@dataclass(frozen=True)
class Steps:
    """The steps of the optimiser, Adam."""

    iterations: int = key(160, "steps of Adam", minimum=1)
    learning_rate: float = key(0.1, "Adam's learning rate, in normalised units a step", above=0)
    cooling: float = key(
        1.0,
        "share of the learning rate that is left at the end; it falls along a cosine",
        minimum=0,
        maximum=1,
    )
    seed: int = key(
        0,
        "seed of the noise and of the transforms. The same seed gives the same frames on the same "
        "machine with the same number of threads, but not with random weights",
        minimum=0,
    )


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
    part_size: int = key(
        0,
        "if not 0, each step shows the network two views with this shorter side: the whole image, "
        "and an enlarged part of it; but only while the image is larger than that",
        minimum=0,
        maximum=4096,
    )
    part_zoom: list[float] = key(
        lambda: [1.2, 1.6],
        "this part is enlarged by a factor between these two",
        minimum=1,
        maximum=10,
    )
    part_until: float = key(
        1.0,
        "share of the steps after which the network sees the whole image alone, at its own size",
        minimum=0,
        maximum=1,
    )
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


@dataclass(frozen=True)
class FourierSettings:
    """The keys of `fourier`, the spectrum that `parametrisation: fourier` changes, not pixels."""

    decay: float = key(
        0.8,
        "how much faster low frequencies change: as f to the power of −decay",
        minimum=0,
        maximum=4,
    )
    lowest: float = key(
        5.0,
        "frequencies below this number of waves per image count as this one",
        above=0,
        maximum=4096,
    )
    start_size: int = key(
        0,
        "longer side of a small image with which the ascent begins; 0 begins with the whole size",
        minimum=0,
        maximum=4096,
    )
    start_share: float = key(
        0.2, "the share of the steps that are done at this size", minimum=0, maximum=1
    )
    colour_decay: float = key(
        0.0,
        "how much more slowly colours change than brightness, above 8 waves per image",
        minimum=0,
        maximum=4,
    )


@dataclass(frozen=True)
class AscentSettings(Steps):
    """All settings that decide what the images of an ascent look like."""

    model: ModelConfig = key(ModelConfig, "the network: a group of keys, or its name alone")
    objective: str = key(
        "class_image",
        "or `filter`, `deep_dream`, `inversion`, `weights`: see [Generate](generate.md)",
    )
    target: Union[str, int, list[Union[str, int]], dict] = key(
        130,
        "class image: a class index or name; a list makes an image of each class; classes with "
        "weights, `{tiger: 1, toucan: 0.7}`, make one image of all",
    )
    layer: Optional[Union[str, int]] = key(
        None, "filter, dream, inversion: the name of a layer; weights: by default the first one"
    )
    channel: Union[int, str, list[int]] = key(
        0,
        "filter: a channel of the layer, from 0 on; a list, a range such as `0-15`, or `all`, "
        "makes a contact sheet",
    )
    position: Optional[list[int]] = key(
        None, "filter: one neuron of the channel, `[row, column]`; by default the mean of all"
    )
    octaves: int = key(
        4, "dream: the number of sizes, with `iterations` at each", minimum=1, maximum=20
    )
    octave_scale: float = key(
        1.4, "dream: the factor from one size to the next", above=1, maximum=10
    )
    l2: float = key(1e-3, "λ of the paper's penalty λ‖I‖²", name="lambda", minimum=0)
    parametrisation: str = key(
        "pixels",
        "what Adam changes for a class image or a filter: `pixels`, or `fourier`, the spectrum of "
        "decorrelated colours (Olah et al. 2017)",
    )
    fourier: FourierSettings = key(FourierSettings, "the keys of that spectrum")
    init: str = key(
        "noise",
        "`noise`, `grey` (the mean colour) or an image file; for a dream or an inversion the "
        "picture",
    )
    init_std: float = key(0.01, "σ of the noise, in normalised units", minimum=0, maximum=100)
    priors: Priors = key(Priors, "what keeps the image natural")


def grouped(options: dict[str, Any], **groups: Any) -> list[Any]:
    """The keyword options of a call, sorted into groups such as `steps=Steps()`.

    `groups` are the defaults. A call may give single keys (`iterations=20`), or a whole group
    (`steps=Steps(iterations=20)`), or both. If both give a key, the single key counts. Raises
    `TypeError` for an option that no group has.
    """
    rest, found = dict(options), []
    for name, default in groups.items():
        group = rest.pop(name, default)
        keys = {field.name for field in dataclasses.fields(default)}
        own = {key: rest.pop(key) for key in keys & rest.keys()}
        found.append(dataclasses.replace(group, **own))
    if rest:
        raise TypeError(f"unknown options: {', '.join(sorted(rest))}")
    return found
