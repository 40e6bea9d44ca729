"""The rules of layer-wise relevance propagation for a linear layer.

With x the input, W the weights and z = W x + b the output of a layer, a rule says which shares of
the relevance R of z go to x. Here each rule returns terms: functions of x, and the factor for the
multiplier R / z. A term t with the factor z / t gives x · ∂t/∂x · R / t.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import paddle

from .carried import Term, carried

# The denominators of the rules without an epsilon keep this distance from 0.
TINY = 1e-9
# A pixel of 0 would have a multiplier without an end; it is taken as this number.
ALMOST_ZERO = 1e-30


@dataclass
class Affine:
    """A layer z = run(x, weight, bias) that is linear in x."""

    run: Callable[..., paddle.Tensor]
    weight: paddle.Tensor
    bias: paddle.Tensor | None


class Settings(NamedTuple):
    """The numbers of the rules."""

    epsilon: float
    gamma: float
    alpha: float
    low: float | None
    high: float | None


Rule = Callable[[paddle.Tensor, Affine, Any, Settings], "list[Term]"]


def away_from_zero(x: paddle.Tensor, distance: float) -> paddle.Tensor:
    """x + distance · sign(x), where the sign of 0 is 1."""
    return x + paddle.where(x < 0, -paddle.ones_like(x), paddle.ones_like(x)) * distance


def invertible(images: paddle.Tensor) -> paddle.Tensor:
    """The images with `ALMOST_ZERO` in place of 0."""
    return paddle.where(images == 0, paddle.full_like(images, ALMOST_ZERO), images)


def _share(z: paddle.Tensor, denominator: paddle.Tensor, distance: float = TINY) -> paddle.Tensor:
    return z / away_from_zero(denominator.detach(), distance)


def epsilon(x: paddle.Tensor, layer: Affine, z: Any, settings: Settings) -> list[Term]:
    """R_i = Σ_j x_i w_ij / (z_j + ε sign z_j) R_j (Bach et al. 2015, equation 58)."""
    own = layer.run(x, layer.weight, layer.bias)
    return [(own, _share(own.detach(), own, settings.epsilon))]


def z_plus(x: paddle.Tensor, layer: Affine, z: Any, settings: Settings) -> list[Term]:
    """The relevance goes to positive contributions only (Montavon et al. 2017)."""
    positive = _contributions(x, layer, 1)
    return [(positive, z / (positive.detach() + TINY))]


def alpha_beta(x: paddle.Tensor, layer: Affine, z: Any, settings: Settings) -> list[Term]:
    """α for the positive contributions, −β for the negative ones (Bach et al. 2015, eq. 60)."""
    positive, alpha = _contributions(x, layer, 1), settings.alpha
    terms: list[Term] = [(positive, alpha * z / (positive.detach() + TINY))]
    if alpha != 1:
        negative = _contributions(x, layer, -1)
        terms.append((negative, (1 - alpha) * z / (negative.detach() - TINY)))
    return terms


def gamma(x: paddle.Tensor, layer: Affine, z: Any, settings: Settings) -> list[Term]:
    """Contributions with the sign of z count 1 + γ times (Montavon et al. 2019, section 10.2.3)."""
    positive, negative = _contributions(x, layer, 1), _contributions(x, layer, -1)
    up = (z > 0).astype(z.dtype)
    more, less = 1 + settings.gamma * up, 1 + settings.gamma * (1 - up)
    share = _share(z, more * positive.detach() + less * negative.detach())
    return [(positive, more * share), (negative, less * share)]


def flat(x: paddle.Tensor, layer: Affine, z: Any, settings: Settings) -> list[Term]:
    """All inputs of a neuron get the same (Lapuschkin et al. 2019)."""
    ones = carried(paddle.ones_like(x), [(x, 1 / invertible(x.detach()))])
    count = layer.run(ones, paddle.ones_like(layer.weight), None)
    return [(count, _share(z, count))]


def z_box(x: paddle.Tensor, layer: Affine, z: Any, settings: Settings) -> list[Term]:
    """R_i = Σ_j (x_i w_ij − l_i w⁺_ij − h_i w⁻_ij) / Σ_i(…) R_j (Montavon et al. 2017).

    `low` and `high` are l and h. None stands for the lowest and highest value of each channel.
    """
    pixels = x.detach()
    axes = list(range(2, x.ndim))
    inverse = 1 / invertible(pixels)
    total = layer.run(x, layer.weight, None)
    for bound, find, lowest in (
        (settings.low, paddle.min, True),
        (settings.high, paddle.max, False),
    ):
        value = find(pixels, axis=axes, keepdim=True) if bound is None else bound
        box = carried(paddle.zeros_like(pixels) + value, [(x, inverse * value)])
        part = layer.weight.clip(min=0) if lowest else layer.weight.clip(max=0)
        total = total - layer.run(box, part, None)
    return [(total, _share(z, total))]


def _contributions(x: paddle.Tensor, layer: Affine, sign: int) -> paddle.Tensor:
    """The sum of all x_i w_ij, and of the bias, that have this sign."""
    same, other = _part(layer.weight, sign), _part(layer.weight, -sign)
    bias = None if layer.bias is None else _part(layer.bias, sign)
    if float(x.detach().min()) >= 0:
        return layer.run(x, same, bias)
    above = paddle.nn.functional.relu(x)
    return layer.run(above, same, bias) + layer.run(x - above, other, None)


def _part(values: paddle.Tensor, sign: int) -> paddle.Tensor:
    return values.clip(min=0) if sign > 0 else values.clip(max=0)


class Composite(NamedTuple):
    """The rules of the first layer, of convolutions, and of fully connected layers."""

    first: Rule
    convolution: Rule
    linear: Rule


# The keys are the names used in YAML.
COMPOSITES = {
    "epsilon_plus_flat": Composite(flat, z_plus, epsilon),
    "epsilon_plus": Composite(z_plus, z_plus, epsilon),
    "epsilon_gamma_box": Composite(z_box, gamma, epsilon),
    "epsilon_alpha_beta_flat": Composite(flat, alpha_beta, epsilon),
    "epsilon": Composite(epsilon, epsilon, epsilon),
    "gamma": Composite(gamma, gamma, gamma),
    "alpha_beta": Composite(alpha_beta, alpha_beta, alpha_beta),
    "z_plus": Composite(z_plus, z_plus, z_plus),
}
