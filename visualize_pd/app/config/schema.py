"""The keys of every config. `docs/keys.md` is generated from the texts here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, Union

from ...core.config import key
from ...models.config import ModelConfig
from ...synthesis.settings import AscentSettings

PICTURES = "a file, a folder or a glob, or a list of them"
MODEL = "the network: a group of keys, or its name alone, which leaves out the fallback"
REPORT = "also write `index.html`, one page with everything of the run"
TRUTH = (
    "where objects are: a `.csv` or `.json` with file, x0, y0, x1, y1 and perhaps class, or a "
    "folder of masks `name.png`"
)


@dataclass(frozen=True)
class RunConfig:
    """The keys that every config has."""

    device: str = key("auto", "`auto`, `cpu`, `gpu` or `gpu:N`")
    fast: bool = key(
        True,
        "use faster layers on a CPU; `false` uses Paddle's own alone, as `VISUALIZE_PD_FAST=0` in "
        "the environment does",
    )
    output: str = key("images", "the folder below which everything is written")


@dataclass(frozen=True)
class ExplainConfig(RunConfig):
    """The keys of method 1."""

    images: Union[str, list[str]] = key("content/images", PICTURES)
    target: Union[str, int, list[Union[str, int]]] = key(
        "predicted",
        "`predicted`, `top3` (or another number), a class index, a class name, or a list of "
        "classes, each a row of the figure",
    )
    method: Union[str, dict] = key(
        "saliency", "a method by its name, or `{name: …}` with its options"
    )
    compare: Optional[list[Union[str, dict]]] = key(
        None,
        "a list of methods in place of `method`. It makes grids, `comparison_pp.jpg`, with a row "
        "for each image and class and a column for each method",
    )
    colormap: str = key(
        "auto",
        "for maps in one channel: `viridis`, `jet`, `grey` or `diverging`; `auto` is diverging for "
        "maps with both signs, else viridis",
    )
    common_scale: bool = key(
        False,
        "draw the maps of all images on one scale, so that brightness can be compared; all maps "
        "stay in memory until the end",
    )
    model: ModelConfig = key(ModelConfig, MODEL)
    batch_size: int = key(8, "images in one pass", minimum=1)
    save_arrays: bool = key(False, "also write the raw map, `<name>_pp.npy`")
    skip_existing: bool = key(
        False,
        "leave out images that have their figure already, so that a run that was stopped goes on "
        "where it was",
    )
    report: bool = key(
        False, f"{REPORT}; with `compare` also a picture `<name>_pp.jpg` for each image"
    )


@dataclass(frozen=True)
class FramesConfig:
    """`frames`: which iterations become pictures."""

    every: int = key(10, "iterations from one saved frame to the next", minimum=1)


@dataclass(frozen=True)
class AnimationConfig:
    """`animation`: the frames as a film that repeats."""

    format: str = key(
        "gif",
        "or `webp` (smaller, all colours), `apng` (no loss), `mp4` (does not repeat; needs the "
        "extra `mp4`)",
    )
    frame_ms: int = key(
        200, "time of a frame in ms, in a GIF in steps of 10", minimum=20, maximum=655_350
    )
    hold_ms: int = key(2000, "time of the last frame in ms", minimum=20, maximum=655_350)
    size: Optional[int] = key(
        None,
        "longer side of an image in the animation, in pixels; by default as it was made",
        minimum=16,
        maximum=4096,
    )
    score: bool = key(False, "write the score, and a class's probability, below each image")


@dataclass(frozen=True)
class GenerateConfig(AscentSettings, RunConfig):
    """The keys of method 2."""

    frames: FramesConfig = key(FramesConfig, "which iterations become pictures")
    animation: AnimationConfig = key(AnimationConfig, "the film of the frames")
    report: bool = key(False, REPORT)


@dataclass(frozen=True)
class EvaluateConfig(RunConfig):
    """The keys of `evaluate methods`: which maps tell best what the network uses."""

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
    samples: int = key(50, "squares of the infidelity", minimum=1, maximum=100_000)
    model: ModelConfig = key(ModelConfig, MODEL)
    batch_size: int = key(32, "versions of an image in one pass", minimum=1)
    seed: int = key(0, "of the squares and of the noise", minimum=0)


@dataclass(frozen=True)
class LocaliseConfig(RunConfig):
    """The keys of `evaluate localise`: where the object of a class is."""

    images: Union[str, list[str]] = key("content/images", PICTURES)
    target: Union[str, int, list[Union[str, int]]] = key("predicted", "as `target` of method 1")
    method: Union[str, dict] = key("saliency", "as `method` of method 1")
    engine: str = key("grabcut", "or `threshold`, which needs no extra")
    foreground: float = key(
        0.95,
        "graph cut: the quantile of the map above which pixels teach it the object's colours",
        minimum=0,
        maximum=1,
    )
    background: float = key(
        0.30,
        "graph cut: the quantile below which pixels teach it the background's colours",
        minimum=0,
        maximum=1,
    )
    threshold: float = key(
        0.4, "threshold: the share of the map's largest value", minimum=0, maximum=0.999
    )
    smoothing: float = key(
        0.05,
        "threshold: σ of the map's blur, as a share of the shorter side",
        minimum=0,
        maximum=1,
    )
    ten_crops: bool = key(True, "the map is the mean over ten crops, or else of the centre alone")
    truth: Optional[str] = key(None, TRUTH)
    model: ModelConfig = key(ModelConfig, MODEL)


@dataclass(frozen=True)
class SanityConfig(RunConfig):
    """The keys of `evaluate sanity`: whether maps change with what the network has learned."""

    images: Union[str, list[str]] = key("content/images", PICTURES)
    target: Union[str, int] = key("predicted", "`predicted`, or a class for all images")
    methods: list[Union[str, dict]] = key(
        lambda: ["gradient", "guided_backprop"], "a list of methods, each as `method` of method 1"
    )
    mode: str = key(
        "cascading",
        "layers stay random as those below them follow; or `independent`, one at a time",
    )
    seed: int = key(0, "of the random weights", minimum=0)
    model: ModelConfig = key(ModelConfig, MODEL)
