"""What all class activation maps share. Each of them is one rule.

A rule turns the feature maps A of a layer into contributions `[N, K, h, w]`. Their sum over the
channels is the map. The code here finds the layer, applies ReLU to the map, enlarges it and
averages over layers and views.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import paddle
from paddle.nn import functional

from ...network.gradients import ForwardPass, check_slopes, differentiate, input_gradient
from ...network.hooks import Calls
from ...network.kept_pass import record_or_reuse
from ...network.layers.by_name import find_layers
from ...network.layers.feature_maps import (
    FeatureMaps,
    default_feature_maps,
    named_feature_maps,
)
from ...network.layers.tokens import Layout
from ...network.scores import Score
from .principal_component import principal_component
from .views import views_of


class CamInputs(NamedTuple):
    """What a rule may use: the feature maps A of one layer, ∂S_c/∂A, and where they come from.

    `activations` and `gradients` are `[N, K, h, w]`. For a rule with `gradients=False`, `gradients`
    may be None. `output` is what the layer returned, and `layout` tells where A lies in it. `call`
    is the number of the layer's call in the forward pass, from 0 on. `layer` is None if A was made
    between layers.
    """

    activations: paddle.Tensor
    gradients: Any
    output: paddle.Tensor
    layout: Layout
    layer: paddle.nn.Layer | None
    call: int
    network: paddle.nn.Layer
    forward_pass: ForwardPass
    score: Score


SHARED = """\
    Returns `[N, 1, H, W]` at the size of the images, after ReLU, not rescaled.

    `target_layer`: the name of a layer, or several names. The layer may return feature maps, or
    the tokens of a transformer. By default it is the last convolutional feature maps, or in a
    transformer the tokens that go into the last block. `aug_smooth` averages over mirrored copies
    of the image and copies × 0.9 and × 1.1.
    `zooms` averages over further sizes, as shares of the image's size. Before an average each map
    is divided by its largest size, so that all maps have the same weight. `eigen_smooth` projects
    the contributions on their first principal component before they are summed. `relu=False` keeps
    what speaks against the class, as negative values. `guided` multiplies by guided backprop and
    returns `[N, C, H, W]`. `score` is what is explained: logit, probability or
    log_probability, a contrast of classes, or a function of the outputs.

    Raises `ConfigError` for an unknown layer, `ModelError` for a network without feature maps.
    """


def cam(rule: Callable | None = None, *, gradients: bool = True) -> Callable:
    """Turn a rule `(inputs: CamInputs, **options) → contributions [N, K, h, w]` into a method.

    `gradients=False`: the rule does not use ∂S_c/∂A.
    """
    if rule is None:
        return lambda rule: cam(rule, gradients=gradients)

    def method(
        network: paddle.nn.Layer,
        images: paddle.Tensor,
        targets: Any = None,
        *,
        target_layer: str | Sequence[str] | None = None,
        score: Score = "logit",
        eigen_smooth: bool = False,
        aug_smooth: bool = False,
        zooms: float | Sequence[float] = (),
        relu: bool = True,
        guided: bool = False,
        **options: Any,
    ) -> paddle.Tensor:
        views = views_of(images, aug_smooth, zooms, score)
        chosen = targets
        total: Any = 0.0
        for view, back in views:
            found, chosen = _layers(network, view, chosen, target_layer, score, gradients)
            for inputs in found:
                contributions = rule(inputs, **options)
                if eigen_smooth:
                    contributions = principal_component(contributions)
                small = contributions.sum(axis=1, keepdim=True)
                small = small.clip(min=0) if relu else small
                size = view.shape[2:]
                heat = functional.interpolate(small, size=size, mode="bilinear").detach()
                if len(found) * len(views) > 1:
                    heat = to_one(heat) / (len(found) * len(views))
                total = total + back(heat)
        if guided:
            total = total * input_gradient(network, images, chosen, score=score, relu="guided")
        return total

    method.__name__ = method.__qualname__ = rule.__name__
    method.__module__ = rule.__module__
    method.__doc__ = f"{(rule.__doc__ or '').rstrip()}\n\n{SHARED}"
    common = inspect.signature(method)
    own = [p for p in inspect.signature(rule).parameters.values() if p.kind is p.KEYWORD_ONLY]
    shared = [p for p in common.parameters.values() if p.kind is not p.VAR_KEYWORD]
    method.__signature__ = common.replace(parameters=[*shared, *own])  # type: ignore[attr-defined]
    return method


def _layers(
    network: paddle.nn.Layer,
    images: paddle.Tensor,
    targets: Any,
    names: str | Sequence[str] | None,
    score: Score,
    gradients: bool,
) -> tuple[list[CamInputs], paddle.Tensor]:
    """Run one forward pass. Return the inputs of a rule for each layer, and the images' classes."""
    if names is None:
        every = network.sublayers()
        forward, blocks = record_or_reuse(network, images, targets, score, every)
        found = [default_feature_maps(network, forward, blocks)]
        if gradients:
            check_slopes([each.slope for each in found if each.slope is not None])
    else:
        names = [names] if isinstance(names, str) else names
        named = find_layers(network, names)
        convolutions = [each for each in network.sublayers() if isinstance(each, paddle.nn.Conv2D)]
        layers = list({id(layer): layer for layer in (*named, *convolutions)}.values())
        forward, _ = record_or_reuse(network, images, targets, score, layers)
        found = [named_feature_maps(network, forward, *each) for each in zip(names, named)]
        if gradients:
            slopes = differentiate(forward.scores, [each.output for each in found])
            found = [each._replace(slope=slope) for each, slope in zip(found, slopes)]
    numbers = [_number(each, forward.calls) for each in found]
    forward = forward._replace(scores=forward.scores.detach(), calls=())
    inputs = [
        CamInputs(
            activations=each.maps.detach(),
            gradients=each.slope_of_maps,
            output=each.output.detach(),
            layout=each.layout,
            layer=each.layer,
            call=number,
            network=network,
            forward_pass=forward,
            score=score,
        )
        for each, number in zip(found, numbers)
    ]
    return inputs, forward.targets


def _number(found: FeatureMaps, calls: Calls) -> int:
    """The number of the layer's call that returned these maps, from 0 on."""
    outputs = [output for called, output in calls if called is found.layer]
    return next((number for number, output in enumerate(outputs) if output is found.output), 0)


def to_one(heat: paddle.Tensor) -> paddle.Tensor:
    """Divide each map by its largest size, so that all maps have the same weight in an average."""
    high = heat.abs().max(axis=[1, 2, 3], keepdim=True)
    return heat / paddle.where(high > 0, high, paddle.ones_like(high))
