"""Layer-wise relevance propagation."""

from __future__ import annotations

from typing import Any

import paddle

from ...core.checks import look_up
from ...core.errors import ConfigError
from ...network.gradients import differentiate, record_forward
from ...network.scores import Score
from ..reduction import reduce
from .carried import check_reach
from .propagation import BY_GRADIENT, MERGED, Propagation
from .rules import COMPOSITES, Settings, invertible


def lrp(
    network: paddle.nn.Layer,
    images: paddle.Tensor,
    targets: Any = None,
    *,
    composite: str = "epsilon_plus_flat",
    epsilon: float = 1e-6,
    gamma: float = 0.25,
    alpha: float = 2.0,
    low: float | None = None,
    high: float | None = None,
    score: Score = "logit",
    channel: str = "none",
    sign: str = "signed",
    return_gap: bool = False,
) -> paddle.Tensor | tuple[paddle.Tensor, paddle.Tensor]:
    """The score is sent back layer by layer to the pixels (Bach et al. 2015): `[N, C, H, W]`.

    `composite` (Montavon et al. 2019): the rules of the first layer, the convolutions and the
    linear layers: epsilon_plus_flat, epsilon_plus, epsilon_gamma_box, epsilon_alpha_beta_flat, or
    one rule for all: epsilon, gamma, alpha_beta (β = α − 1), z_plus. `low` and `high`: the lowest
    and highest pixel value of the box rule, by default those of each channel of each image.

    A BatchNorm is merged into the layer before it. A sum shares out the relevance by its parts,
    average pooling too; a maximum gives all to its winner, an activation all to its input, and a
    gate (sigmoid) nothing to itself. What is linear but no layer shares by its contributions. The
    relevance starts as ∂score/∂output · output, which for a logit is the logit. `return_gap` also
    returns Σ R − S_c, `[N]`. Without biases it is 0; with them it is large in deep networks.
    Raises `ModelError` for a network that has an operation without a rule, as transformers have.
    """
    rules = look_up("composite", composite, COMPOSITES)
    settings = Settings(epsilon, gamma, alpha, low, high)
    _check(settings)
    propagation = Propagation(rules, settings, MERGED.get(network, ()))
    passed = record_forward(network, images, targets, score=score, rules=propagation.rules())
    error = propagation.unconnected(passed.scores)
    if error:
        raise error
    checked = Propagation(rules, settings)
    if network not in MERGED:
        check_reach("lrp", network, images[:1], checked.rules(), BY_GRADIENT)
        MERGED[network] = checked.always_followed()
    (multiplier,) = differentiate(passed.scores, [passed.images])
    relevance = invertible(passed.images.detach()) * multiplier
    attribution = reduce(relevance, channel, sign)
    gap = relevance.sum(axis=[1, 2, 3]) - passed.scores.detach()
    return (attribution, gap) if return_gap else attribution


def _check(settings: Settings) -> None:
    for name, lowest in (("epsilon", 0), ("gamma", 0), ("alpha", 1)):
        value = getattr(settings, name)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= lowest:
            raise ConfigError(f"{name} must be a number of at least {lowest}, not {value!r}")
    for name in ("low", "high"):
        value = getattr(settings, name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float))):
            raise ConfigError(f"{name} must be a number or null, not {value!r}")
    if None not in (settings.low, settings.high) and settings.low >= settings.high:  # type: ignore[operator]
        raise ConfigError(f"low must be less than high, not {settings.low} and {settings.high}")
