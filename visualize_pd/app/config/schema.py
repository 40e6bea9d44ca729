"""The keys of every config. `docs/keys.md` is generated from the texts in this file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, Union

from ...core.config import key
from ...models.config import ModelConfig
from ...synthesis.settings import AscentSettings

PICTURES = "a file, a folder or a glob, or a list of them"
MODEL = "the network: a group of keys, or only its name, and then there is no fallback"
REPORT = "also write `index.html`, a page that shows the whole run"
TRUTH = (
    "the places of the objects: a `.csv` or `.json` with file, x0, y0, x1, y1 and optionally "
    "class, or a folder of masks `name.png`"
)


@dataclass(frozen=True)
class RunConfig:
    """The keys that every config has."""

    device: str = key("auto", "`auto`, `cpu`, `gpu` or `gpu:N`")
    fast: bool = key(
        True,
        "use faster layers on a CPU; `false` uses only Paddle's own layers, as "
        "`VISUALIZE_PD_FAST=0` in the environment does",
    )
    output: str = key("images", "the folder for all results")


@dataclass(frozen=True)
class ExplainConfig(RunConfig):
    """The keys of method 1."""

    images: Union[str, list[str]] = key("content/images", PICTURES)
    target: Union[str, int, list[Union[str, int]]] = key(
        "predicted",
        "`predicted`, `top3` (or another number), a class index, a class name, or a list of "
        "classes; each class gets a row in the figure",
    )
    method: Union[str, dict] = key(
        "saliency", "the name of a method, or `{name: …}` with its options"
    )
    compare: Optional[list[Union[str, dict]]] = key(
        None,
        "a list of methods in place of `method`. It makes grids, `comparison_pp.jpg`, with a row "
        "for each image and class and a column for each method",
    )
    colormap: str = key(
        "auto",
        "the colours of maps with one channel: `viridis`, `jet`, `grey` or `diverging`; `auto` is "
        "`diverging` for maps with positive and negative values, else `viridis`",
    )
    common_scale: bool = key(
        False,
        "draw the maps of all images on one scale, so that their brightness can be compared; all "
        "maps stay in memory until the end",
    )
    model: ModelConfig = key(ModelConfig, MODEL)
    batch_size: int = key(8, "photographs in one pass", minimum=1)
    save_arrays: bool = key(False, "also write the raw map, `<name>_pp.npy`")
    skip_existing: bool = key(
        False,
        "leave out images whose figure exists already and was made of the same inputs; this "
        "continues a run that was stopped",
    )
    report: bool = key(
        False, f"{REPORT}; with `compare` also a picture `<name>_pp.jpg` for each image"
    )


@dataclass(frozen=True)
class FramesConfig:
    """The key `frames`: which iterations become pictures."""

    every: int = key(10, "the number of iterations between two saved frames", minimum=1)


@dataclass(frozen=True)
class AnimationConfig:
    """The key `animation`: the frames as an animation that repeats."""

    format: str = key(
        "gif",
        "`gif`, `webp` (smaller, all colours), `apng` (no loss) or `mp4` (does not repeat; needs "
        "the extra `mp4`)",
    )
    frame_ms: int = key(
        200, "time of each frame in ms, in a GIF in steps of 10", minimum=20, maximum=655_350
    )
    hold_ms: int = key(2000, "time of the last frame in ms", minimum=20, maximum=655_350)
    size: Optional[int] = key(
        None,
        "longer side of an image in the animation, in pixels; by default the image's own size",
        minimum=16,
        maximum=4096,
    )
    score: bool = key(False, "write the score, and for a class its probability, below each image")


@dataclass(frozen=True)
class GenerateConfig(AscentSettings, RunConfig):
    """The keys of method 2."""

    frames: FramesConfig = key(FramesConfig, "which iterations become pictures")
    animation: AnimationConfig = key(AnimationConfig, "the animation of the frames")
    report: bool = key(False, REPORT)


@dataclass(frozen=True)
class EvaluateConfig(RunConfig):
    """The keys of `evaluate methods`: which maps show best what the network uses."""

    images: Union[str, list[str]] = key("content/images", PICTURES)
    target: Union[str, int] = key(
        "predicted", "`predicted`, `labelled` (the class in `truth`), or a class for all images"
    )
    truth: Optional[str] = key(None, TRUTH)
    methods: list[Union[str, dict]] = key(
        lambda: ["saliency", "grad_cam"], "a list of methods, each as `method` of method 1"
    )
    measures: list[str] = key(
        lambda: ["insertion", "deletion", "pointing_game", "average_drop"],
        "some of the measures in [Measure](measure.md)",
    )
    steps: int = key(50, "steps of an insertion or a deletion", minimum=1, maximum=100_000)
    samples: int = key(
        50,
        "number of squares for the infidelity, and of sets of pixels for sensitivity-n",
        minimum=1,
        maximum=100_000,
    )
    contrast: Union[str, int, list[Union[str, int]]] = key(
        "top3",
        "for `contrast_insertion`: the other classes, by their names or indices, or `top3` for the "
        "three most likely ones of each image",
    )
    model: ModelConfig = key(ModelConfig, MODEL)
    batch_size: int = key(32, "versions of an image in one pass", minimum=1)
    seed: int = key(0, "the seed of everything that is random in the measures", minimum=0)


@dataclass(frozen=True)
class LocaliseConfig(RunConfig):
    """The keys of `evaluate localise`: where the object of a class is."""

    images: Union[str, list[str]] = key("content/images", PICTURES)
    target: Union[str, int, list[Union[str, int]]] = key("predicted", "as `target` of method 1")
    method: Union[str, dict] = key("saliency", "as `method` of method 1")
    engine: str = key("grabcut", "`grabcut`, or `threshold`, which needs no extra package")
    foreground: float = key(
        0.95,
        "for `grabcut`: pixels above this quantile of the map give the colours of the object",
        minimum=0,
        maximum=1,
    )
    background: float = key(
        0.30,
        "for `grabcut`: pixels below this quantile of the map give the colours of the background",
        minimum=0,
        maximum=1,
    )
    threshold: float = key(
        0.4,
        "for `threshold`: pixels above this share of the map's largest value are the object",
        minimum=0,
        maximum=0.999,
    )
    smoothing: float = key(
        0.05,
        "for `threshold`: σ of the map's blur, as a share of the shorter side",
        minimum=0,
        maximum=1,
    )
    ten_crops: bool = key(
        True,
        "with `preprocess: crop`: the map is the mean over ten crops; with `false`, of the centre "
        "crop only",
    )
    truth: Optional[str] = key(None, TRUTH)
    model: ModelConfig = key(ModelConfig, MODEL)


@dataclass(frozen=True)
class SanityConfig(RunConfig):
    """The keys of `evaluate sanity`: whether maps depend on what the network has learned."""

    images: Union[str, list[str]] = key("content/images", PICTURES)
    target: Union[str, int] = key("predicted", "`predicted`, or a class for all images")
    methods: list[Union[str, dict]] = key(
        lambda: ["gradient", "guided_backprop"], "a list of methods, each as `method` of method 1"
    )
    mode: str = key(
        "cascading",
        "`cascading`: more and more layers become random, from the last to the first; or "
        "`independent`: one layer at a time",
    )
    seed: int = key(0, "the seed of the random weights", minimum=0)
    model: ModelConfig = key(ModelConfig, MODEL)


@dataclass(frozen=True)
class ConceptsConfig(RunConfig):
    """The keys of `concepts`: the parts by which the network recognises a class."""

    images: Union[str, list[str]] = key("content/images", f"pictures of one class: {PICTURES}")
    target: Union[str, int] = key(
        "predicted",
        "a class; `predicted` is the one that the network predicts for most of the pictures",
    )
    new_images: Union[str, list[str], None] = key(
        None, "pictures on which the maps of the concepts are shown; by default `images`"
    )
    concepts: int = key(6, "the number of concepts", minimum=1, maximum=64)
    shown: int = key(
        3, "the number of crops, and of maps, that are shown of each concept", minimum=1, maximum=8
    )
    layer: Optional[Union[str, int]] = key(
        None, "a layer after a ReLU, with feature maps; by default that of the CAMs"
    )
    crop: float = key(
        0.3, "the side of a crop, as a share of the picture's square", above=0, maximum=1
    )
    most_crops: int = key(
        2000, "of more crops than this some are drawn at random", minimum=1, maximum=1_000_000
    )
    samples: int = key(
        128,
        "for the importance: the rest of the network sees each picture this number of times "
        "(`concepts` + 2); best a power of 2",
        minimum=2,
        maximum=100_000,
    )
    score: Union[str, dict] = key(
        "logit",
        "the score for which concepts are important: as the option `score` of the methods",
    )
    image: Optional[dict] = key(
        None,
        "how an image of each concept is made: a group with the keys of method 2, such as "
        "`iterations`, `size`, `lambda`, `parametrisation`, `priors`; `null` makes none",
    )
    model: ModelConfig = key(ModelConfig, MODEL)
    batch_size: int = key(32, "crops, or versions of a picture, in one pass", minimum=1)
    seed: int = key(0, "the seed of the factors, and of the points for the importance", minimum=0)
