"""FullGrad: the gradient × input, and the gradient × bias of every layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import paddle
from paddle.nn import functional

from ...core.checks import look_up
from ...network.gradients import differentiate, record_forward
from ...network.hooks import Calls
from ...network.layers.tokens import Grid, Layouts
from ...network.scores import Score
from ..completeness import warn_of_gap

LAST = (paddle.nn.Linear, paddle.nn.LayerNorm)  # their channels come last


def _rescaled(maps: paddle.Tensor, area: int) -> paddle.Tensor:
    """Σ |maps|, each stretched so that the lowest value of an image is 0 and the highest is 1."""
    size = maps.abs()
    low, high = (f(size, axis=[1, 2, 3], keepdim=True) for f in (paddle.min, paddle.max))
    total = size.sum(axis=1, keepdim=True) - size.shape[1] * low
    return total / paddle.where(high > low, high - low, paddle.ones_like(high))


def _absolute(maps: paddle.Tensor, area: int) -> paddle.Tensor:
    return _signed(maps.abs(), area)


def _signed(maps: paddle.Tensor, area: int) -> paddle.Tensor:
    return maps.sum(axis=1, keepdim=True) * (maps.shape[2] * maps.shape[3] / area)


# Functions `(maps [N, K, h, w], the number of pixels of an image)` → their sum `[N, 1, h, w]`.
POST_PROCESSING: dict[str, Callable[[paddle.Tensor, int], paddle.Tensor]] = {
    "rescaled": _rescaled,
    "absolute": _absolute,
    "signed": _signed,
}


def full_grad(
    network: paddle.nn.Layer,
    images: paddle.Tensor,
    targets: Any = None,
    *,
    post_processing: str = "rescaled",
    score: Score = "logit",
    return_gap: bool = False,
) -> paddle.Tensor | tuple[paddle.Tensor, paddle.Tensor]:
    """ψ(I · ∂S_c/∂I) + Σ over biases b of ψ(b · ∂S_c/∂b) (Srinivas & Fleuret 2019).

    `[N, 1, H, W]`. The biases are those of convolutions, linear layers and normalisations; that of
    a BatchNorm is β − γμ/σ. The 6 of a ReLU6 counts where it is reached. All are taken at each
    place of a layer's output. Outputs without places, such as logits, have no part in the map.

    `post_processing` ψ: rescaled (the absolute value, stretched to 0 to 1 in each layer, enlarged
    and summed over the channels, as published), absolute (not stretched; the values of a small map
    are divided by the pixels that each of them covers), or signed (the same without the absolute
    value).

    Completeness: without ψ, all parts together sum to S_c. This is exact if the only nonlinear
    layers are ReLU, ReLU6 and max pooling. `return_gap` also returns what is missing, `[N]`: the
    part of Hardswish, GELU, sigmoid, attention and LayerNorm, and of parameters that are no bias of
    a known layer. A gap over 1 % is logged as a warning.
    """
    psi = look_up("post_processing", post_processing, POST_PROCESSING)
    passed = record_forward(network, images, targets, score=score, layers=network.sublayers())
    size = images.shape[2:]
    sums, maps = _biases(passed.calls, Layouts(network, passed.images, passed.calls), psi, size)
    (gradient,) = differentiate(passed.scores, [passed.images])
    whole = gradient * images.detach()
    total = psi(whole, size[0] * size[1])
    for part in maps.values():
        total += functional.interpolate(part, size=size, mode="bilinear")
    scores = passed.scores.detach()
    explained = paddle.add_n([_sum(whole, len(images)), *sums])
    gap = (explained - scores.astype("float64")).astype(scores.dtype)
    advice = "the network has other activations than ReLU, or biases in layers that are not known"
    warn_of_gap("full gradient", gap, scores, of="S(I)", advice=advice)
    return (total, gap) if return_gap else total


def _biases(
    calls: Calls, layouts: Layouts, psi: Callable, size: tuple[int, int]
) -> tuple[list[paddle.Tensor], dict[Grid, paddle.Tensor]]:
    """The sums `[N]` of bias · gradient, and the maps of each size. The backward pass fills both.

    A layer's gradient is used as soon as it is there, and is not kept.
    """
    sums: list[paddle.Tensor] = []
    maps: dict[Grid, paddle.Tensor] = {}

    def listen(output: paddle.Tensor, added: paddle.Tensor, layout: Any) -> None:
        def add(slope: paddle.Tensor) -> None:
            with paddle.no_grad():
                part = slope.detach() * added
                sums.append(_sum(part, layouts.count))
                places = None if layout is None else layout.maps(part)
                if places is not None and places.shape[2] * places.shape[3] > 1:
                    grid = (places.shape[2], places.shape[3])
                    maps[grid] = maps.get(grid, 0.0) + psi(places, size[0] * size[1])

        output.register_hook(add)

    for layer, output in calls:
        if isinstance(output, paddle.Tensor) and not output.stop_gradient:
            added = _added(layer, output.detach())
            if added is not None:
                listen(output, added, layouts.of(layer, output))
    return sums, maps


def _added(layer: paddle.nn.Layer, output: paddle.Tensor) -> paddle.Tensor | None:
    """What a layer adds to a linear function of its input, in a shape that fits its output.

    None if it adds nothing. A ReLU6 adds 6 where it is closed from above.
    """
    if isinstance(layer, paddle.nn.ReLU6):
        return 6 * (output >= 6).astype(output.dtype)
    bias = getattr(layer, "bias", None)
    if getattr(layer, "_mean", None) is not None and getattr(layer, "_variance", None) is not None:
        shift = -layer._mean / (layer._variance + layer._epsilon).sqrt()
        shift = shift if layer.weight is None else shift * layer.weight
        bias = shift if bias is None else bias + shift
        act = getattr(layer, "_act", None)  # of `paddle.nn.BatchNorm`, after the bias
        if act is not None:
            bias = _second(bias, output) * (output > 0).astype(output.dtype)
            return bias.detach() if act == "relu" else None
    elif not isinstance(layer, (paddle.nn.layer.conv._ConvNd, *LAST)) or bias is None:
        return None
    last = isinstance(layer, LAST) or getattr(layer, "_data_format", "NCHW")[-1] == "C"
    return (bias if last else _second(bias, output)).detach()


def _second(bias: paddle.Tensor, output: paddle.Tensor) -> paddle.Tensor:
    """A bias `[K]` in a shape that fits an output `[N, K, …]`."""
    return bias.reshape([-1] + [1] * (output.ndim - 2))


def _sum(part: paddle.Tensor, count: int) -> paddle.Tensor:
    """The sum for each image, `[N]`."""
    rows = part.reshape([count, part.shape[0] // count * part.shape[1], -1]).sum(axis=2)
    return rows.astype("float64").sum(axis=1)
