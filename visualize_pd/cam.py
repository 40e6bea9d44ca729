"""Class activation maps: one pipeline, and one rule for each method.

A rule turns the feature maps A of a layer into contributions, `[N, K, h, w]`, whose sum over the
channels is the map; the pipeline finds the layer, rectifies, enlarges and averages.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import paddle
import threadpoolctl
from paddle.nn import functional

from .errors import ConfigError
from .features import Calls, find_layers, maps_of
from .gradients import Pass, differentiate, input_gradient, last_maps, record
from .hooks import Rest
from .passes import batches, scoring
from .targets import check_images, class_scores, logits_of, resolve_targets


class At(NamedTuple):
    """What a rule may use: A and ∂S_c/∂A at one call of a layer, and the pass they come from."""

    maps: paddle.Tensor
    gradients: paddle.Tensor  # perhaps None, for a rule that is made without
    layer: paddle.nn.Layer
    call: int
    network: paddle.nn.Layer
    passed: Pass
    score: str


SHARED = """\
    Returns `[N, 1, H, W]` at the images' size, rectified, not rescaled. `target_layer`: a layer's
    name or several; by default the last convolutional feature maps. Several layers, and the views
    of `aug_smooth` and `zooms` (further sizes, shares of the images'), count alike: each map is
    divided by its maximum before the average. `eigen_smooth` takes the first principal component of
    the contributions in place of their sum; `guided` multiplies by guided backprop, `[N, C, H, W]`.
    `score`, what is explained: logit, probability or log_probability.
    Raises `ConfigError` for an unknown layer, `ModelError` for a network without feature maps.
    """


def _cam(rule: Callable | None = None, *, gradients: bool = True) -> Callable:
    """Make a method of a rule `(at: At, **options) → contributions`."""
    if rule is None:
        return lambda rule: _cam(rule, gradients=gradients)

    def method(
        network: paddle.nn.Layer,
        images: paddle.Tensor,
        targets: Any = None,
        *,
        target_layer: str | Sequence[str] | None = None,
        score: str = "logit",
        eigen_smooth: bool = False,
        aug_smooth: bool = False,
        zooms: float | Sequence[float] = (),
        guided: bool = False,
        **options: Any,
    ) -> paddle.Tensor:
        views = _views(images, aug_smooth, zooms)
        chosen = targets
        total: Any = 0.0
        for view, back in views:
            found, chosen = _layers(network, view, chosen, target_layer, score, gradients)
            for at in found:
                contributions = rule(at, **options)
                if eigen_smooth:
                    contributions = _principal(contributions)
                small = contributions.sum(axis=1, keepdim=True).clip(min=0)
                size = view.shape[2:]
                heat = functional.interpolate(small, size=size, mode="bilinear").detach()
                if len(found) * len(views) > 1:
                    heat = _to_one(heat) / (len(found) * len(views))
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
    score: str,
    gradients: bool,
) -> tuple[list[At], paddle.Tensor]:
    """One pass, and what a rule may use at each layer; then the classes that were explained."""
    layers = network.sublayers() if names is None else find_layers(network, names)
    passed = record(network, images, targets, score=score, layers=layers)
    slopes: list[Any]
    if names is None:
        layer, maps, slope = last_maps(passed.calls, passed.scores)
        found, slopes = [(layer, maps)], [slope]
    else:
        names = [names] if isinstance(names, str) else names
        found = [(layer, maps_of(layer, passed.calls, name)) for layer, name in zip(layers, names)]
        slopes = [None] * len(found)
        if gradients:
            slopes = differentiate(passed.scores, [maps for _, maps in found])
    numbers = [_number(layer, maps, passed.calls) for layer, maps in found]
    passed = passed._replace(scores=passed.scores.detach(), calls=())
    ats = [
        At(maps.detach(), slope, layer, number, network, passed, score)
        for (layer, maps), slope, number in zip(found, slopes, numbers)
    ]
    return ats, passed.targets


def _number(layer: paddle.nn.Layer, maps: paddle.Tensor, calls: Calls) -> int:
    """Which of a layer's calls, from 0 on, returned some maps."""
    outputs = [output for called, output in calls if called is layer]
    return next(number for number, output in enumerate(outputs) if output is maps)


@_cam
def grad_cam(at: At) -> paddle.Tensor:
    """Grad-CAM (Selvaraju et al. 2017, equations 1 and 2): α_k = mean of ∂S_c/∂A_k."""
    return at.gradients.mean(axis=[2, 3], keepdim=True) * at.maps


@_cam
def grad_cam_pp(at: At) -> paddle.Tensor:
    """Grad-CAM++ (Chattopadhay et al. 2018, equations 5 and 19): w_k = Σ α · ReLU(∂S_c/∂A_k).

    α = g² / (2g² + ΣA · g³) with g = ∂S_c/∂A; the factor e^S of the paper's score is left out.
    """
    g = at.gradients
    denominator = 2 + at.maps.sum(axis=[2, 3], keepdim=True) * g
    counts = paddle.logical_and(g > 0, denominator > 0)
    alpha = counts.astype(g.dtype) / paddle.where(counts, denominator, paddle.ones_like(g))
    return (alpha * g.clip(min=0)).sum(axis=[2, 3], keepdim=True) * at.maps


@_cam
def xgrad_cam(at: At) -> paddle.Tensor:
    """XGrad-CAM (Fu et al. 2020, equation 8): w_k = Σ A_k · ∂S_c/∂A_k / Σ A_k."""
    total = at.maps.sum(axis=[2, 3], keepdim=True)
    weighted = (at.maps * at.gradients).sum(axis=[2, 3], keepdim=True)
    empty = total == 0
    return weighted / paddle.where(empty, paddle.ones_like(total), total) * at.maps


@_cam
def layer_cam(at: At) -> paddle.Tensor:
    """Layer-CAM (Jiang et al. 2021, equation 6): each place has its own weight, ReLU(∂S_c/∂A)."""
    return at.gradients.clip(min=0) * at.maps


@_cam(gradients=False)
def eigen_cam(at: At) -> paddle.Tensor:
    """Eigen-CAM (Muhammad & Yeasin 2020): A along its first principal component; no class.

    The features are centred, and the component points to where they are strong on the whole.
    """
    return _principal(at.maps)


@_cam
def eigen_grad_cam(at: At) -> paddle.Tensor:
    """Eigen-CAM of A · ∂S_c/∂A, so that it knows a class."""
    return _principal(at.gradients * at.maps)


@_cam(gradients=False)
def score_cam(at: At, *, batch_size: int = 32) -> paddle.Tensor:
    """Score-CAM (Wang et al. 2020, equation 8): α = softmax over k of S_c(I ⊙ A_k in [0, 1]).

    One pass for each channel, but for flat ones, which all hide the image alike.
    """
    images, (count, channels) = at.passed.images.detach(), at.maps.shape[:2]
    weights = paddle.zeros([count, channels, 1, 1], dtype=at.maps.dtype)
    low, high = (f(at.maps, axis=[2, 3], keepdim=True) for f in (paddle.min, paddle.max))
    flat = (low == high).numpy().reshape(count, channels)
    with scoring(at.network) as score_of:
        for n in range(count):
            image, target = images[n : n + 1], at.passed.targets[n : n + 1]
            nothing, _ = score_of(paddle.zeros_like(image), target, at.score)
            scores = np.full(channels, nothing.item())
            live = np.flatnonzero(~flat[n])
            for part in batches(len(live), batch_size, "masking by channels"):
                chosen = paddle.to_tensor(live[part])
                small = paddle.index_select(at.maps[n], chosen).unsqueeze(1)
                mask = functional.interpolate(small, size=image.shape[2:], mode="bilinear")
                shape = [len(chosen), *image.shape[1:]]
                masked = image.expand(shape) * _stretched(mask).expand(shape)
                each, _ = score_of(masked, target.expand([len(chosen)]), at.score)
                scores[live[part]] = each.numpy()
            shares = np.exp(scores - scores.max())
            weights[n] = paddle.to_tensor(
                (shares / shares.sum()).reshape(channels, 1, 1), dtype=weights.dtype
            )
    return weights * at.maps


@_cam(gradients=False)
def ablation_cam(at: At, *, batch_size: int = 32) -> paddle.Tensor:
    """Ablation-CAM (Desai & Ramaswamy 2020, equation 3): w_k = (S_c − S_c without A_k) / |S_c|.

    Only the layers behind the maps run again, once for each channel that is not zero.
    """
    images, (count, channels) = at.passed.images.detach(), at.maps.shape[:2]
    weights = paddle.zeros([count, channels, 1, 1], dtype=at.maps.dtype)
    zero = (at.maps == 0).all(axis=[2, 3]).numpy()
    with scoring(at.network):
        for n in range(count):
            rest = Rest(at.network, at.layer, images[n : n + 1], at.call)
            maps, target = at.maps[n : n + 1], at.passed.targets[n : n + 1]
            drops = np.zeros(channels)
            live = np.flatnonzero(~zero[n])
            for part in batches(len(live), batch_size, "leaving out channels"):
                kept = np.ones((part.stop - part.start, channels, 1, 1), dtype="float32")
                kept[np.arange(len(kept)), live[part]] = 0
                logits = logits_of(rest(maps * paddle.to_tensor(kept).astype(maps.dtype)))
                chosen = resolve_targets(target.expand([len(kept)]), logits)
                without = class_scores(logits, chosen, at.score)
                drops[live[part]] = (at.passed.scores[n] - without).numpy()
            scale = abs(at.passed.scores[n].item()) or 1.0
            weights[n] = paddle.to_tensor(
                (drops / scale).reshape(channels, 1, 1), dtype=weights.dtype
            )
    return weights * at.maps


def guided_grad_cam(
    network: paddle.nn.Layer,
    images: paddle.Tensor,
    targets: Any = None,
    *,
    target_layer: str | Sequence[str] | None = None,
    score: str = "logit",
) -> paddle.Tensor:
    """Grad-CAM × guided backprop (Selvaraju et al. 2017, section 3.3): `[N, C, H, W]`, signed."""
    return grad_cam(network, images, targets, target_layer=target_layer, score=score, guided=True)


def _principal(contributions: paddle.Tensor) -> paddle.Tensor:
    """Contributions along their first principal component over the places of each image.

    Centred; of the two directions that with which their sum over the channels grows.
    """
    projected = []
    # One thread: Paddle's idle threads keep the processors from a second one of numpy's.
    with threadpoolctl.threadpool_limits(1, user_api="blas"):
        for values in contributions.numpy().astype("float64"):
            table = values.reshape(len(values), -1).T
            centred = table - table.mean(axis=0)
            along = centred * _leading(centred)
            if (along.sum(axis=1) * centred.sum(axis=1)).sum() < 0:
                along = -along
            projected.append(along.T.reshape(values.shape))
    return paddle.to_tensor(np.stack(projected), dtype=contributions.dtype)


def _leading(table: np.ndarray) -> np.ndarray:
    """The first right singular vector of a table, by the smaller of its two Gram matrices."""
    wide = table.shape[0] < table.shape[1]
    _, vectors = np.linalg.eigh(table @ table.T if wide else table.T @ table)
    leading = table.T @ vectors[:, -1] if wide else vectors[:, -1]
    return leading / (np.linalg.norm(leading) or 1.0)


def _stretched(maps: paddle.Tensor) -> paddle.Tensor:
    """Each map from its lowest value, 0, to its highest, 1; a flat one becomes 0."""
    low, high = (f(maps, axis=[1, 2, 3], keepdim=True) for f in (paddle.min, paddle.max))
    return (maps - low) / paddle.where(high > low, high - low, paddle.ones_like(high))


def _to_one(heat: paddle.Tensor) -> paddle.Tensor:
    """Each map divided by its maximum, so that several count alike in an average."""
    high = heat.max(axis=[1, 2, 3], keepdim=True)
    return heat / paddle.where(high > 0, high, paddle.ones_like(high))


View = tuple[paddle.Tensor, Callable[[paddle.Tensor], paddle.Tensor]]


def _views(images: paddle.Tensor, aug_smooth: bool, zooms: float | Sequence[float]) -> list[View]:
    """The views of test-time smoothing, the plain one first, each with its way back for a map.

    `aug_smooth`: as it is and mirrored, × 1, 0.9 and 1.1 of the normalised values, as in
    pytorch-grad-cam; all of them once more at each of `zooms`, shares of the image's size.
    """
    check_images(images)
    shares: list[Any] = list(zooms) if isinstance(zooms, (list, tuple)) else [zooms]
    if not all(type(share) in (int, float) and 0 < share <= 8 for share in shares):
        raise ConfigError(f"zooms must be numbers over 0, not {shares}")
    full = images.shape[2:]

    def view(flip: bool, factor: float, zoom: float) -> View:
        seen = paddle.flip(images, axis=[3]) if flip else images
        seen = seen * factor if factor != 1 else seen
        size = [max(1, round(side * zoom)) for side in full]
        if size != full:
            seen = functional.interpolate(seen, size=size, mode="bilinear")

        def back(heat: paddle.Tensor) -> paddle.Tensor:
            if size != full:
                heat = functional.interpolate(heat, size=full, mode="bilinear")
            return paddle.flip(heat, axis=[3]) if flip else heat

        return seen, back

    flips, factors = ((False, True), (1.0, 0.9, 1.1)) if aug_smooth else ((False,), (1.0,))
    return [
        view(flip, factor, zoom) for zoom in (1.0, *shares) for flip in flips for factor in factors
    ]
