"""Objectives: functions `(network, images) → scores [N]`, which an ascent maximises."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any

import paddle

from ..core.checks import check_count
from ..core.errors import ConfigError
from ..network.gradients import logits_by_program
from ..network.hooks import capture_outputs, frozen
from ..network.layers.by_name import find_layers
from ..network.layers.feature_maps import feature_maps_of
from ..network.outputs import activation_of
from ..network.scores import (
    check_distinct,
    check_finite,
    class_scores,
    read_logits,
    resolve_targets,
    score_outputs,
)
from ..network.scores.functions import check_connected

Objective = Callable[[paddle.nn.Layer, paddle.Tensor], paddle.Tensor]


def class_score(targets: int | Sequence[int], score: str = "logit") -> Objective:
    """S_c(I) of one class, or of one class for each image (Simonyan et al. 2013, equation 1)."""

    logits_of = _checked_logits()

    def objective(network: paddle.nn.Layer, images: paddle.Tensor) -> paddle.Tensor:
        if score == "logit":
            scores = logits_by_program(network, images, targets)
            if scores is not None:
                return scores
        logits = logits_of(network, images)
        return class_scores(logits, resolve_targets(targets, logits), score, activation_of(network))

    return objective


def output_score(score: Callable[[Any, paddle.Tensor], paddle.Tensor]) -> Objective:
    """A score that is a function `(outputs, images) → [N]` of what the network returns.

    Raises `ScoreError` if it gives no scores, or no gradient for the images.
    """

    def objective(network: paddle.nn.Layer, images: paddle.Tensor) -> paddle.Tensor:
        scores = score_outputs(network, network(images), images, None, score).scores
        if not images.stop_gradient:
            check_connected(score, scores)
        return scores

    return objective


def mixed_score(weights: Mapping[int, float], score: str = "logit") -> Objective:
    """Σ_c weight_c · S_c(I), which makes one image of several classes.

    Raises `ConfigError` for no class at all.
    """
    if not weights:
        raise ConfigError("no class to mix; give at least one class with its weight")
    logits_of = _checked_logits()

    def objective(network: paddle.nn.Layer, images: paddle.Tensor) -> paddle.Tensor:
        logits = logits_of(network, images)
        each = (
            weight
            * class_scores(logits, resolve_targets(target, logits), score, activation_of(network))
            for target, weight in weights.items()
        )
        return reduce(operator.add, each)

    return objective


def _checked_logits() -> Callable[[paddle.nn.Layer, paddle.Tensor], paddle.Tensor]:
    """A function that gives logits. At its first call it checks that they mean something.

    Later on, bad logits come from the ascent and not from the weights.
    """
    unchecked = [True]

    def logits_of(network: paddle.nn.Layer, images: paddle.Tensor) -> paddle.Tensor:
        logits = read_logits(network(images), images)
        if unchecked:
            unchecked.clear()
            check_finite(logits)
            check_distinct(logits, images)
        return logits

    return logits_of


def filter_response(
    layer: str, channel: int | Sequence[int], position: tuple[int, int] | None = None
) -> Objective:
    """The mean of a layer's channel, or one neuron of it (Erhan et al. 2009).

    `channel`: one number, or one for each image. `position`: the `(row, column)` of the neuron.
    Raises `ConfigError` for a layer, a channel or a position that the network does not have.
    """

    def objective(network: paddle.nn.Layer, images: paddle.Tensor) -> paddle.Tensor:
        (found,) = find_layers(network, layer)
        with capture_outputs(found) as calls:
            network(images)
        maps = feature_maps_of(found, calls, layer)
        count, channels, height, width = maps.shape
        wanted = list(channel) if isinstance(channel, Sequence) else [channel] * count
        if len(wanted) != count:
            raise ConfigError(f"{len(wanted)} channels for {count} images; give one for each")
        for number in wanted:
            check_count("channel", number, 0)
            if number >= channels:
                raise ConfigError(f"no channel {number}; layer '{layer}' has {channels}, from 0 on")
        if position is None:
            responses = maps.mean(axis=[2, 3])
        else:
            row, column = position
            if not (0 <= row < height and 0 <= column < width):
                raise ConfigError(f"no neuron at {position}; the maps are {height} × {width}")
            responses = maps[:, :, row, column]
        chosen = paddle.to_tensor(wanted, dtype="int64").unsqueeze(1)
        return paddle.take_along_axis(responses, chosen, axis=1).squeeze(1)

    return objective


def direction_response(layer: str, directions: paddle.Tensor) -> Objective:
    """⟨Ā, v⟩ · cos(Ā, v) of a layer's maps, averaged over positions to Ā, and a direction v.

    The cosine keeps other directions small (Carter et al. 2019, Activation Atlas). `directions`
    `[N, C]` are the v, one for each image. Raises `ConfigError` for a layer that the network does
    not have, and for directions that do not fit.
    """

    def objective(network: paddle.nn.Layer, images: paddle.Tensor) -> paddle.Tensor:
        (found,) = find_layers(network, layer)
        with capture_outputs(found) as calls:
            network(images)
        means = feature_maps_of(found, calls, layer).mean(axis=[2, 3])
        if means.shape != directions.shape:
            raise ConfigError(
                f"directions {directions.shape} do not fit; layer '{layer}' has {means.shape[1]} "
                f"channels, and there are {means.shape[0]} images"
            )
        product = (means * directions).sum(axis=1)
        squares = (means**2).sum(axis=1) * (directions**2).sum(axis=1)
        return product * product / paddle.clip(squares, min=1e-12).sqrt()

    return objective


def layer_energy(layer: str) -> Objective:
    """½ · mean of A²: amplifies all that a layer sees (DeepDream, Mordvintsev et al. 2015)."""

    def objective(network: paddle.nn.Layer, images: paddle.Tensor) -> paddle.Tensor:
        outputs = _output(network, images, layer)
        return (outputs * outputs).flatten(1).mean(axis=1) / 2

    return objective


def feature_similarity(network: paddle.nn.Layer, layer: str, images: paddle.Tensor) -> Objective:
    """−‖Φ(I) − Φ(I₀)‖² / ‖Φ(I₀)‖² of a layer's output Φ (Mahendran & Vedaldi 2014, equation 2).

    `images` are the I₀, one for each image that is made. If Φ(I₀) is 0, the divisor is 1.
    """
    with frozen(network), paddle.no_grad():
        wanted = _output(network, images, layer).flatten(1)
    size = (wanted * wanted).sum(axis=1)
    size = paddle.where(size > 0, size, paddle.ones_like(size))

    def objective(network: paddle.nn.Layer, images: paddle.Tensor) -> paddle.Tensor:
        difference = _output(network, images, layer).flatten(1) - wanted
        return -(difference * difference).sum(axis=1) / size

    return objective


def accentuated_score(target: int | Sequence[int], layer: str, nearness: float) -> Objective:
    """S_c(I) − nearness · ‖Φ(I) − Φ(I₀)‖² / ‖Φ(I₀)‖² of a layer's output Φ (Hamblin et al. 2024).

    The first half of the images that it gets are the I, the second half are the photographs I₀.
    """
    logits_of = _checked_logits()

    def objective(network: paddle.nn.Layer, images: paddle.Tensor) -> paddle.Tensor:
        changed, photographs = paddle.split(images, 2)
        (found,) = find_layers(network, layer)
        with paddle.no_grad():
            wanted = _output(network, photographs, layer).flatten(1)
        with capture_outputs(found) as calls:
            logits = logits_of(network, changed)
        difference = calls[-1][1].flatten(1) - wanted
        size = (wanted * wanted).sum(axis=1)
        distance = (difference * difference).sum(axis=1) / paddle.clip(size, min=1e-12)
        return class_scores(logits, resolve_targets(target, logits)) - nearness * distance

    return objective


def _output(network: paddle.nn.Layer, images: paddle.Tensor, layer: str) -> Any:
    """The last output of a layer. Raises `ConfigError` if it has no row for each image."""
    (found,) = find_layers(network, layer)
    with capture_outputs(found) as calls:
        network(images)
    outputs = [output for _, output in calls if isinstance(output, paddle.Tensor)]
    if not outputs or outputs[-1].ndim < 2 or outputs[-1].shape[0] != images.shape[0]:
        raise ConfigError(f"layer '{layer}' has no output for each image; name another layer")
    return outputs[-1]
