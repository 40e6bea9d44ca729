"""The keys of `model` in a config."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import ClassVar, Optional, Union

from ..core.config import key


@dataclass(frozen=True)
class ModelConfig:
    """The key `model` of a config: a group of these keys, or only the name."""

    SHORT_FORM: ClassVar[str] = "name"

    name: str = key(
        "alexnet",
        "`alexnet`, `efficientnet_lite0` (`1`, `2`), a network of `paddle.vision.models`, "
        "`paddleclas:NAME`, or `package.module:callable`",
    )
    weights: str = key("auto", "`auto`, `random`, a file, or the folder of one")
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
        "side in pixels of the square input that the network was made for; by default the "
        "network's own",
        minimum=8,
        maximum=4096,
    )
    resolution: Optional[int] = key(
        None,
        "side of the input at which the network runs instead, for example twice its own: maps of "
        "convolutional networks get finer, and the crop still cuts out the same part; with "
        "`preprocess: full` the longer side",
        minimum=8,
        maximum=4096,
    )
    preprocess: str = key(
        "crop",
        "how a photograph becomes the input: `crop`, the square in its centre; `resize`, the whole "
        "squeezed to a square; `pad`, the whole with a margin in the mean colour; or `full`, the "
        "whole in its own shape, with a longer side of at most 1024. Only `crop` is for method 2",
    )
    mean: Optional[list[float]] = key(
        None,
        "mean of the pixels, which are in [0, 1]: a number for each channel, three for colours, "
        "one for grey; by default the network's own",
    )
    std: Optional[list[float]] = key(None, "standard deviation of the pixels, as `model.mean`")
    output: Union[int, str, None] = key(
        None,
        "for a network that returns several tensors: the place, from 0 on, or the key of the one "
        "that counts; by default the logits are looked for",
    )
    activation: str = key(
        "softmax",
        "how logits become probabilities: `softmax`, or `sigmoid` for classes that do not exclude "
        "each other",
    )
    labels: Optional[str] = key(
        None,
        "a file of class names, one on each line, synonyms separated by commas; by default "
        "ImageNet's names for 1000 classes",
    )

    def beside(self) -> ModelConfig:
        """The same keys for a folder that holds the files: their names alone in place of paths."""
        weights, labels = PurePath(self.weights).name, self.labels
        return replace(self, weights=weights, labels=labels and PurePath(labels).name)

    @property
    def files(self) -> list[str]:
        """The files that the keys name: weights and class names, if they are the user's own."""
        weights = None if self.weights in ("auto", "random") else self.weights
        return [file for file in (weights, self.labels) if file]
