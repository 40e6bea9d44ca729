"""The settings of an ascent, for configs and for Python calls."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar, Optional, Union

from ..core.config import key
from ..models.config import ModelConfig
from .priors.settings import Priors


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
class Growth:
    """The keys of `growth`, which begins with a small or a pale image."""

    sizes: list[int] = key(
        list,
        "longer sides of the small images, one after another; none begins with the whole size",
        minimum=2,
        maximum=4096,
    )
    share: float = key(
        0.2, "the share of the steps that are done before the whole size", minimum=0, maximum=1
    )
    contrast: float = key(
        1.0,
        "the factor by which the contrast of the brightness is raised in the end. Not for "
        "`parametrisation=pixels`, and not for an image that begins as a picture",
        above=0,
        maximum=10,
    )
    colours: float = key(1.0, "the same for the colours", above=0, maximum=10)
    raised: list[float] = key(
        lambda: [0.4, 0.9],
        "two shares of the steps: between them the contrast is raised. The penalties count as for "
        "the image before that",
        minimum=0,
        maximum=1,
    )


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
    colour_decay: float = key(
        0.0,
        "how much more slowly colours change than brightness, above 8 waves per image",
        minimum=0,
        maximum=4,
    )


@dataclass(frozen=True)
class ReferenceSettings:
    """The keys of `reference`, or only the photographs."""

    SHORT_FORM: ClassVar[str] = "images"

    images: Union[str, list[str], None] = key(
        None, "photographs: a file, a folder or a glob, or a list of them"
    )
    weight: float = key(
        8.0, "weight of the distance from the activations of the photographs", minimum=0
    )
    layers: Optional[list[Union[str, int]]] = key(
        None,
        "the layers whose activations are compared; by default the last one of each size of "
        "feature maps, without the largest",
    )


@dataclass(frozen=True)
class DiversitySettings:
    """The keys of `diversity`, which makes several different images of each class."""

    images: int = key(1, "the number of images of each class", minimum=1, maximum=32)
    weight: float = key(10.0, "weight of the similarity of these images", minimum=0)
    layer: Union[str, int, None] = key(
        None,
        "the layer in which they are compared; by default the last one before the smallest feature "
        "maps",
    )


@dataclass(frozen=True)
class AscentSettings(Steps):
    """All settings that decide what the images of an ascent look like."""

    model: ModelConfig = key(ModelConfig, "the network: a group of keys, or its name alone")
    objective: str = key(
        "class_image",
        "or `accentuation`, `filter`, `deep_dream`, `inversion`, `weights`: see "
        "[Generate](generate.md)",
    )
    target: Union[str, int, list[Union[str, int]], dict] = key(
        130,
        "class image: a class index or name; a list makes an image of each class; classes with "
        "weights, `{tiger: 1, toucan: 0.7}`, make one image of all",
    )
    score: Union[str, dict] = key(
        "logit",
        "class image: what the ascent raises, `logit`, `probability` or `log_probability`; or a "
        "function of the outputs, see [Outputs](any_output.md), and then no `target`",
    )
    layer: Optional[Union[str, int]] = key(
        None,
        "filter, dream, inversion: the name of a layer; weights: by default the first one; "
        "accentuation: by default the last one before the smallest feature maps",
    )
    nearness: float = key(
        5.0,
        "accentuation: the weight of the distance from the photograph in `layer`",
        minimum=0,
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
    size: Optional[Union[int, list[int]]] = key(
        None,
        "side of the image in pixels, or `[height, width]`; by default the network's own",
        minimum=8,
        maximum=4096,
    )
    l2: float = key(1e-3, "λ of the paper's penalty λ‖I‖²", name="lambda", minimum=0)
    parametrisation: str = key(
        "pixels",
        "what Adam changes for a class image or a filter: `pixels`; `fourier`, the spectrum of "
        "decorrelated colours (Olah et al. 2017); `pyramid`, images of all sizes that are added "
        "(Fort & Whitaker 2025); or `phases` of waves with fixed strengths (Fel et al. 2023)",
    )
    fourier: FourierSettings = key(FourierSettings, "the keys of `parametrisation: fourier`")
    growth: Growth = key(Growth, "an image that is small at first keeps its few large shapes")
    init: str = key(
        "noise",
        "`noise`, `grey` (the mean colour) or an image file; for a dream, an inversion or an "
        "accentuation the picture",
    )
    init_std: float = key(0.01, "σ of the noise, in normalised units", minimum=0, maximum=100)
    priors: Priors = key(Priors, "what keeps the image natural")
    reference: ReferenceSettings = key(
        ReferenceSettings, "photographs of the class, to which the image is made similar"
    )
    diversity: DiversitySettings = key(
        DiversitySettings, "several images of each class that differ from each other"
    )
    candidates: int = key(
        1,
        "class image: make this number of images of each class, from different noise. The judge "
        "keeps the best one of them",
        minimum=1,
        maximum=32,
    )
    judge: Union[str, dict] = key(
        "efficientnet_lite1",
        "the network that chooses among candidates, with the keys of `model`, or only its name; "
        "it must not be the network that makes them",
    )
    transparency: bool = key(
        False,
        "also write a picture without its background: a pixel is as opaque as its gradients, added "
        "over all steps, are large (Fel et al. 2023)",
    )


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
