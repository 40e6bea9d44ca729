"""Find the feature maps among the outputs of a network's layers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import paddle

from ...core.errors import ConfigError, ModelError
from ..gradients import ForwardPass, gradients_or_none
from ..hooks import Calls, capture_outputs, frozen
from .tokens import ChannelsFirst, Layout, Layouts, Tokens, is_attention


def is_feature_maps(output: Any) -> bool:
    """Whether the output of a layer is a tensor `[N, C, H, W]`."""
    return isinstance(output, paddle.Tensor) and output.ndim == 4


def feature_maps_of(layer: paddle.nn.Layer, calls: Calls, name: str) -> paddle.Tensor:
    """The last feature maps `[N, C, H, W]` that a layer returned.

    Raises `ConfigError` if it returned none.
    """
    outputs = [output for called, output in calls if called is layer]
    if not outputs:
        raise ConfigError(f"the network never calls its layer '{name}'")
    maps = [output for output in outputs if is_feature_maps(output)]
    if not maps:
        shape = getattr(outputs[-1], "shape", type(outputs[-1]).__name__)
        raise ConfigError(f"layer '{name}' returns {shape}, not feature maps [N, C, H, W]")
    return maps[-1]


def layers_of_each_size(network: paddle.nn.Layer, images: paddle.Tensor) -> list[str]:
    """The name of the last layer with each size of feature maps, the largest maps first.

    Maps of a single pixel are left out. Raises `ModelError` if there are none.
    """
    names = {id(layer): name for name, layer in network.named_sublayers()}
    layers = network.sublayers()
    with frozen(network), paddle.no_grad(), capture_outputs(*layers) as calls:
        network(images)
    found: dict[int, str] = {}
    for layer, output in calls:
        if is_feature_maps(output) and output.shape[2] * output.shape[3] > 1:
            found[output.shape[2] * output.shape[3]] = names[id(layer)]
    if not found:
        raise ModelError("the network has no feature maps; name another layer")
    return [found[size] for size in sorted(found, reverse=True)]


def middle_layer(network: paddle.nn.Layer, images: paddle.Tensor) -> str:
    """The name of the last layer before the smallest feature maps."""
    return layers_of_each_size(network, images)[-2:][0]


class FeatureMaps(NamedTuple):
    """An output with feature maps in it, where they lie in it, and ∂ Σ scores / ∂ output.

    `layer` is None if no layer returned the output. `slope` is None if nobody asked for it.
    """

    layer: paddle.nn.Layer | None
    output: paddle.Tensor
    layout: Layout
    slope: paddle.Tensor | None

    @property
    def maps(self) -> paddle.Tensor:
        """The feature maps `[N, C, h, w]`."""
        return self.layout.maps(self.output)

    @property
    def slope_of_maps(self) -> paddle.Tensor | None:
        """∂ Σ scores / ∂ maps, `[N, C, h, w]`."""
        return None if self.slope is None else self.layout.maps(self.slope)


def named_feature_maps(
    network: paddle.nn.Layer, passed: ForwardPass, name: str, layer: paddle.nn.Layer
) -> FeatureMaps:
    """The last feature maps that the layer `name` returned in a forward pass.

    Raises `ConfigError` if it returned none.
    """
    outputs = [output for called, output in passed.calls if called is layer]
    if not outputs:
        raise ConfigError(f"the network never calls its layer '{name}'")
    layouts = Layouts(network, passed.images, passed.calls)
    for output in reversed(outputs):
        layout = layouts.of(layer, output)
        if layout is not None:
            return FeatureMaps(layer, output, layout, None)
    shape = getattr(outputs[-1], "shape", type(outputs[-1]).__name__)
    raise ConfigError(
        f"layer '{name}' returns {shape}, not feature maps [N, C, H, W] and not tokens of the "
        "image; visualize-pd models, with the network's name, lists the layers that return them"
    )


class Call(NamedTuple):
    """A call of a block, a normalisation or a convolution, with its first input and its output.

    `output` is None if the call has not ended.
    """

    layer: paddle.nn.Layer
    input: Any
    output: Any = None


@contextmanager
def capture_blocks(network: paddle.nn.Layer) -> Iterator[list[Call]]:
    """Collect the calls of blocks, normalisations and convolutions, in the order they begin.

    A block is a layer that has a normalisation in it.
    """
    calls: list[Call] = []
    running: list[int] = []

    def begin(layer: paddle.nn.Layer, inputs: Any) -> Any:
        running.append(len(calls))
        calls.append(Call(layer, inputs[0] if inputs else None))

    def end(_layer: paddle.nn.Layer, _inputs: Any, output: Any) -> Any:
        place = running.pop()
        calls[place] = calls[place]._replace(output=output)

    handles = []
    for layer in network.sublayers():
        if (
            _is_normalisation(layer)
            or any(map(_is_normalisation, layer.sublayers()))
            or isinstance(layer, paddle.nn.Conv2D)
        ):
            handles.append(layer.register_forward_pre_hook(begin))
            handles.append(layer.register_forward_post_hook(end))
    try:
        yield calls
    finally:
        for handle in handles:
            handle.remove()


def _is_normalisation(layer: paddle.nn.Layer) -> bool:
    return "Norm" in type(layer).__name__ and not layer.sublayers()


def default_feature_maps(
    network: paddle.nn.Layer, passed: ForwardPass, blocks: Sequence[Call] = ()
) -> FeatureMaps:
    """The last feature maps that say where things are, and on which the scores depend.

    In a transformer they are the tokens that go into the last block, the input of its
    normalisation. If only the class token is read after the block, they are the output of that
    normalisation: all that the patches do goes through it, and before it A · ∂S/∂A is 0 for every
    patch, because a normalisation ignores the scale of its input. `blocks` come from
    `capture_blocks`. In other networks they are the last convolutional feature maps. Raises
    `ModelError` if there are none, or if they are only the patches of a transformer.
    """
    layouts = Layouts(network, passed.images, passed.calls)
    tokens = _last_block(layouts, passed, blocks)
    if tokens is None:
        convolutional = _last_convolutional(layouts, passed)
        _refuse_patches(layouts, passed, convolutional)
        return convolutional
    return tokens


def _last_block(layouts: Layouts, passed: ForwardPass, calls: Sequence[Call]) -> FeatureMaps | None:
    """The tokens that go into the last block, if no convolution comes after it."""
    later: list[paddle.nn.Layer] = []
    for place in range(len(calls) - 1, -1, -1):
        layer, given, returned = calls[place]
        if isinstance(layer, paddle.nn.Conv2D):
            later.append(layer)
        elif not _is_normalisation(layer):
            found = _tokens(layouts, passed, given)
            if found is not None:
                inside = {id(own) for own in layer.sublayers()}
                if any(id(each) not in inside for each in later):
                    return None
                after = _tokens(layouts, passed, returned)
                first = _tokens(layouts, passed, _first_normalised(calls[place + 1 :], inside))
                return first if first is not None and after is None else found
    return None


def _first_normalised(calls: Sequence[Call], inside: set[int]) -> Any:
    own = (call for call in calls if id(call.layer) in inside)
    return next((call.output for call in own if _is_normalisation(call.layer)), None)


def _tokens(layouts: Layouts, passed: ForwardPass, tensor: Any) -> FeatureMaps | None:
    """Tokens of all images whose patches have an effect on the scores. None for anything else."""
    if not isinstance(tensor, paddle.Tensor) or tensor.ndim != 3:
        return None
    layout = layouts.tokens(tensor.shape[1])
    if layout is None or tensor.shape[0] != layouts.count:
        return None
    (slope,) = gradients_or_none(passed.scores, [tensor], again=True)
    if slope is None or not bool((layout.maps(slope) != 0).any()):
        return None
    returned = [called for called, output in passed.calls if output is tensor]
    return FeatureMaps(returned[-1] if returned else None, tensor, layout, slope)


def _refuse_patches(layouts: Layouts, passed: ForwardPass, found: FeatureMaps) -> None:
    """Raise `ModelError` if the maps are patches of the image and tokens are made of them."""
    layer = found.layer
    if not isinstance(layer, paddle.nn.Conv2D) or layer._in_channels != passed.images.shape[1]:
        return
    place = next(place for place, (_, out) in enumerate(passed.calls) if out is found.output)
    later = [
        layouts.names[id(called)]
        for called, out in passed.calls[place + 1 :]
        if isinstance(layouts.of(called, out), Tokens) and not out.stop_gradient
    ]
    if later:
        named = ", ".join(dict.fromkeys(later[-5:]))
        raise ModelError(
            f"no layer of the network is a sensible default for a CAM: its only convolution, "
            f"'{layouts.names[id(layer)]}', cuts the image into patches; name a layer with tokens "
            f"as target_layer, such as {named}"
        )


def _last_convolutional(layouts: Layouts, passed: ForwardPass) -> FeatureMaps:
    """The last convolutional feature maps that the scores depend on.

    They are the last output with the height and width of the last convolution's output. So they
    come after its activation, normalisation and shortcut, and before any pooling.
    """
    every = [(layer, out) for layer, out in passed.calls if is_feature_maps(out)]
    every = [(layer, out) for layer, out in every if out.shape[2] == 1 or not is_attention(out)]
    spatial = [(layer, out) for layer, out in every if out.shape[2] * out.shape[3] > 1]
    convolved = [(layer, out) for layer, out in spatial if isinstance(layer, paddle.nn.Conv2D)]
    candidates = [call for calls in (convolved, spatial, every) for call in reversed(calls)]
    if not candidates:
        raise ModelError(
            "the network has no convolutional feature maps for this; try another method"
        )

    def as_large(last: paddle.Tensor) -> list[tuple[paddle.nn.Layer, paddle.Tensor]]:
        begin = next(place for place, (_, out) in enumerate(every) if out is last)
        return [(layer, out) for layer, out in every[begin:] if out.shape[2:] == last.shape[2:]]

    for _, last in candidates:
        alike = as_large(last)
        slopes = gradients_or_none(passed.scores, [out for _, out in alike], again=True)
        if slopes[0] is not None:
            return [
                FeatureMaps(layer, out, ChannelsFirst(), slope)
                for (layer, out), slope in zip(alike, slopes)
                if slope is not None
            ][-1]
    layer, maps = as_large(candidates[0][1])[-1]
    return FeatureMaps(layer, maps, ChannelsFirst(), paddle.zeros_like(maps))


def finer_feature_maps(passed: ForwardPass, last: FeatureMaps, count: int) -> list[FeatureMaps]:
    """Larger feature maps than `last`, one for each of the `count` next larger sizes.

    The sizes are those that convolutions return. Of each size it is the last output on which the
    scores depend.
    """
    area = last.maps.shape[2] * last.maps.shape[3]
    every = [(layer, out) for layer, out in passed.calls if is_feature_maps(out)]
    sizes = {tuple(out.shape[2:]) for layer, out in every if isinstance(layer, paddle.nn.Conv2D)}
    larger = sorted((size for size in sizes if size[0] * size[1] > area), key=lambda s: s[0] * s[1])
    found: list[FeatureMaps] = []
    while larger and len(found) < count:  # once, unless the scores do not depend on a size
        chosen, larger = larger[: count - len(found)], larger[count - len(found) :]
        alike = [(layer, out) for layer, out in every if tuple(out.shape[2:]) in chosen]
        slopes = gradients_or_none(passed.scores, [out for _, out in alike], again=True)
        last_of = {
            tuple(out.shape[2:]): FeatureMaps(layer, out, ChannelsFirst(), slope)
            for (layer, out), slope in zip(alike, slopes)
            if slope is not None
        }
        found += [last_of[size] for size in chosen if size in last_of]
    return found
