"""The channels of a layer: what they see in a picture, and what excites each of them most."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import paddle

from ....core.config import build
from ....core.errors import VisualizeError
from ....models.classifier import Classifier, network_errors
from ....network.gradients import record_forward
from ....network.layers.by_name import find_layers
from ....network.layers.feature_maps import named_feature_maps
from ....network.layers.listing import ListedLayer, Listing, list_layers
from ....network.layers.tokens import ChannelsFirst
from ....synthesis.builder import check_maker
from ... import drawing
from ...config.schema import GenerateConfig
from ...generate.layer_images import filter_images
from .generation import recipe

SHOWN = 8  # channels side by side
STEPS = 24  # of the ascent for a small picture
SIDE = 96  # pixels of a small picture


class Activations(NamedTuple):
    """The maps of the first channels, `[K, H, W, 3]` uint8, and the largest value of each.

    `channels` is the number of all channels of the layer.
    """

    pictures: np.ndarray
    largest: list[float]
    channels: int


def listing_of(classifier: Classifier) -> Listing:
    """All layers of a network, with what each returns for one image. Empty if it takes none."""
    side = classifier.resolution or classifier.image_size
    try:
        with network_errors(classifier):
            image = paddle.zeros([1, classifier.channels, side, side])
            return list_layers(classifier.network, image)
    except VisualizeError:
        return Listing([], None)


def channels_of(layer: ListedLayer) -> int:
    """The number of channels of a layer's maps. 0 if it returns no maps."""
    if layer.layout is None or layer.shape is None:
        return 0
    return layer.shape[1 if isinstance(layer.layout, ChannelsFirst) else -1]


def activations(
    classifier: Classifier, layer: str, images: paddle.Tensor, first: int = 0, count: int = SHOWN
) -> Activations:
    """The maps of some channels of a layer for one image `[1, C, H, W]`, in colours.

    Each map has its own scale. Raises `ConfigError` for a layer that returns no maps.
    """
    network = classifier.network
    (found,) = find_layers(network, layer)
    with network_errors(classifier, tuple(images.shape[:1:-1])):
        passed = record_forward(network, images, layers=network.sublayers())
        maps = named_feature_maps(network, passed, layer, found).maps[0].numpy()
    shown = maps[first : first + count]
    pictures = np.stack([drawing.heat(one) for one in shown])
    return Activations(pictures, [float(one.max()) for one in shown], len(maps))


def exciting_images(
    classifier: Classifier, layer: str, channels: Sequence[int], steps: int = STEPS
) -> Iterator[np.ndarray]:
    """Small images that excite channels of a layer, `[N, H, W, 3]` uint8, after each step.

    They are made as in `configs/filter.yaml`, with fewer steps and larger shapes. A network that
    does not take small
    images gets its own size. Raises a `VisualizeError` as the script does.
    """
    check_maker(classifier)
    frames = _small(classifier, layer, channels, steps)
    for frame in frames:
        yield classifier.to_pixels(frame)


def _small(
    classifier: Classifier, layer: str, channels: Sequence[int], steps: int
) -> Iterator[paddle.Tensor]:
    for side in sorted({min(SIDE, classifier.image_size), classifier.image_size}):
        keys = {"layer": layer, "channel": list(channels), "iterations": steps, "size": side}
        values = {**recipe("filter"), **keys, "fourier": {"decay": 1.2}}
        values["priors"] = {**values["priors"], "shift": 6, "total_variation": 0.002}
        values.pop("model")
        config: GenerateConfig = build(GenerateConfig, values)
        try:
            with network_errors(classifier, (side, side)):
                for frame in filter_images(config, classifier).frames(None):
                    yield frame.image
            return
        except VisualizeError:
            if side == classifier.image_size:
                raise
