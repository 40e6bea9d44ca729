"""The keys of `model` in a config."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Optional

from ..core.config import key


@dataclass(frozen=True)
class ModelConfig:
    """The key `model` of a config: a group of these keys, or only the name."""

    SHORT_FORM: ClassVar[str] = "name"

    name: str = key(
        "alexnet",
        "`alexnet`, `efficientnet_lite0` (`1`, `2`), a network of `paddle.vision.models`, or "
        "`package.module:callable`",
    )
    weights: str = key("auto", "`auto`, `random`, or a file")
    fallback: Optional[str] = key(
        None,
        "the network to use if `auto` finds no weights; with `null`, missing weights are an error. "
        "The configs of the project set `efficientnet_lite0`",
    )
    num_classes: Optional[int] = key(
        None, "number of classes; by default the network's own number", minimum=1
    )
    image_size: Optional[int] = key(
        None,
        "side of the square input in pixels; by default the network's own",
        minimum=8,
        maximum=4096,
    )
    mean: Optional[list[float]] = key(
        None,
        "mean of the pixels, which are in [0, 1]: three numbers, or one for grey; by default the "
        "network's own",
    )
    std: Optional[list[float]] = key(None, "standard deviation of the pixels, as `model.mean`")
    labels: Optional[str] = key(
        None,
        "a file of class names, one on each line, synonyms separated by commas; by default "
        "ImageNet's names for 1000 classes",
    )
