"""Tasks that show what a layer sees."""

from __future__ import annotations

import re
from collections.abc import Iterator

import paddle

from ...core.errors import ConfigError, ImageError
from ...core.images import to_tensor
from ...models.classifier import Classifier, network_errors
from ...network.batching import check_memory
from ...network.hooks import capture_outputs, frozen
from ...network.layers.by_name import find_layers
from ...network.layers.feature_maps import feature_maps_of
from ...synthesis.ascent import Frame
from ...synthesis.builder import configured_parametrisation, configured_start
from ...synthesis.deep_dream import deep_dream
from ...synthesis.inversion import inversion
from ...synthesis.objectives import (
    Objective,
    feature_similarity,
    filter_response,
    layer_energy,
)
from ..config.schema import GenerateConfig
from .task import Rating, Task, images_in_batches, joined, photograph_of, score_rating

LONGEST_SIDE = 16_383  # pixels. A WebP cannot be larger


def filter_images(config: GenerateConfig, classifier: Classifier) -> Task:
    """An image that excites one channel of a layer, or one neuron. Several images make a sheet."""
    layer, position = _layer(config), config.position
    if position is not None and len(position) != 2:
        raise ConfigError(f"position must be [row, column], not {position}")
    channels = _channels(config, classifier, layer)
    neuron = (position[0], position[1]) if position else None

    def objective_of(part: list[int]) -> Objective:
        return filter_response(layer, part, neuron)

    def rating_of(part: list[int]) -> Rating:
        return score_rating(objective_of(part), classifier)

    frames, rate = images_in_batches(
        config, classifier, "channel", channels, objective_of, rating_of
    )
    where = f", row {position[0]}, column {position[1]}" if position else ""
    subject, name = f"layer {layer}{where}", f"filter_{layer}_{joined(channels)}"
    if position:
        name += f"_at_{position[0]}_{position[1]}"
    titles = [f"channel {channel}" for channel in channels]
    if isinstance(config.channel, (list, str)):
        subject = f"channels {joined(channels, ', ', ' to ')} of {subject}"
        titles = [str(channel) for channel in channels]
    several = isinstance(config.channel, (list, str))
    record = {"layer": layer, "channel": channels if several else channels[0], "position": position}
    return Task(name, titles, subject, frames, config.iterations, rate, record)


def dream_image(config: GenerateConfig, classifier: Classifier) -> Task:
    """A photograph in which everything that a layer sees is amplified."""
    layer = _layer(config)
    picture = photograph_of(config)
    if max(picture.size) > LONGEST_SIDE:
        raise ImageError(
            f"{config.init} is {picture.width:,} × {picture.height:,} pixels, but an animation has "
            f"at most {LONGEST_SIDE:,} on a side; make it smaller"
        )
    photograph = to_tensor([picture], classifier.mean, classifier.std)
    check_memory(classifier.network, photograph.shape)

    def frames(resume: Frame | None) -> Iterator[Frame]:
        with network_errors(classifier, picture.size):
            yield from deep_dream(
                classifier.network,
                layer,
                photograph,
                octaves=config.octaves,
                octave_scale=config.octave_scale,
                parametrisation=configured_parametrisation(config, classifier),
                steps=config,
                priors=config.priors,
                mean=classifier.mean,
                std=classifier.std,
                resume=resume,
            )

    rate = score_rating(layer_energy(layer), classifier)
    last = config.octaves * config.iterations
    record = {"layer": layer}
    return Task(f"dream_{layer}", ["dream"], f"layer {layer}", frames, last, rate, record)


def inversion_image(config: GenerateConfig, classifier: Classifier) -> Task:
    """An image for which a layer has the same output as for a photograph.

    It shows what the layer keeps of the photograph.
    """
    layer = _layer(config)
    image = classifier.prepare([photograph_of(config)])
    check_memory(classifier.network, image.shape)

    def frames(resume: Frame | None) -> Iterator[Frame]:
        return inversion(
            classifier.network,
            layer,
            image,
            parametrisation=configured_parametrisation(config, classifier),
            steps=config,
            priors=config.priors,
            mean=classifier.mean,
            std=classifier.std,
            resume=resume,
        )

    rate = score_rating(feature_similarity(classifier.network, layer, image), classifier)
    record = {"layer": layer}
    return Task(
        f"inversion_{layer}",
        ["inversion"],
        f"layer {layer}",
        frames,
        config.iterations,
        rate,
        record,
    )


def _layer(config: GenerateConfig) -> str:
    if config.layer is None:
        raise ConfigError(f"objective {config.objective} needs a layer, such as features.10")
    return str(config.layer)  # a number in a Sequential


def _channels(config: GenerateConfig, classifier: Classifier, layer: str) -> list[int]:
    """Read `channel` in a config: a number, a list, `all`, or a range such as `0-35`."""
    wanted = config.channel
    if isinstance(wanted, int):
        return [wanted]
    if isinstance(wanted, list):
        return wanted
    (sublayer,) = find_layers(classifier.network, layer)
    if wanted == "all":
        with frozen(classifier.network), paddle.no_grad(), capture_outputs(sublayer) as calls:
            classifier.network(configured_start(config, classifier))
        return list(range(feature_maps_of(sublayer, calls, layer).shape[1]))
    ends = re.fullmatch(r"([0-9]{1,6})-([0-9]{1,6})", wanted)
    if not ends or int(ends[1]) > int(ends[2]):
        raise ConfigError(
            f"channel must be a number, a list, all or a range such as 0-15, not '{wanted}'"
        )
    return list(range(int(ends[1]), int(ends[2]) + 1))
