"""Gradients along a path of less and less blurred copies of the image."""

from __future__ import annotations

from typing import Any

import numpy as np
import paddle

from ...core.checks import check_count, look_up
from ...core.errors import ConfigError
from ...network.batching import MOST_VERSIONS, scores_and_versions
from ...network.scores import Score, score_function
from ..completeness import warn_of_gap
from ..reduction import reduce
from .integral import QUADRATURES, Path, integrate

SHARPEST = 1e-3  # σ in pixels: with it, each pixel keeps all of its value


def blur_ig(
    network: paddle.nn.Layer,
    images: paddle.Tensor,
    targets: Any = None,
    *,
    max_sigma: float | None = None,
    steps: int = 50,
    quadrature: str = "gauss_legendre",
    batch_size: int | None = None,
    score: Score = "logit",
    channel: str = "none",
    sign: str = "signed",
    return_gap: bool = False,
) -> paddle.Tensor | tuple[paddle.Tensor, paddle.Tensor]:
    """−∫ ∂S_c(I_σ)/∂I · ∂I_σ/∂σ dσ, I_σ the image blurred by σ (Blur IG, Xu et al. 2020).

    `[N, C, H, W]`. σ goes from `max_sigma` pixels, by default a sixth of the longer side, down to
    0. The path needs no baseline colour, and it makes no new edges. The map should sum to S_c(I) −
    S_c(I blurred by `max_sigma`). `return_gap` also returns what is missing, `[N]`; over 1 % gives
    a warning. A blur is a weighted mean of the pixels inside the image, so its edges do not get
    darker. The points of the path are dense where the blur is weak: σ = `max_sigma` · (1 − α)²,
    with α from `quadrature`. `steps`, `quadrature` and `batch_size` are those of
    `integrated_gradients`.
    """
    check_count("steps", steps, 1, MOST_VERSIONS)
    nodes_and_weights = look_up("quadrature", quadrature, QUADRATURES)(steps)
    scores, chosen, versions = scores_and_versions(network, images, targets, score, batch_size)
    images = images.detach()
    sigma = max(images.shape[2:]) / 6 if max_sigma is None else max_sigma
    if isinstance(sigma, bool) or not isinstance(sigma, (int, float)) or not 0.1 <= sigma <= 1e4:
        raise ConfigError(f"max_sigma must be a number of pixels of at least 0.1, not {sigma!r}")
    path = _blurring(images, sigma)
    with score_function(network) as score_of:
        expected = scores - score_of(path(0.0)[0], chosen, score)[0]
    total = integrate(network, path, chosen, score, nodes_and_weights, versions)
    gap = total.sum(axis=[1, 2, 3]) - expected
    told = {"of": "S(I) - S(blurred I)", "advice": "take more steps"}
    warn_of_gap("blur IG", gap, expected, **told)
    attribution = reduce(total, channel, sign)
    return (attribution, gap) if return_gap else attribution


def _blurring(images: paddle.Tensor, max_sigma: float) -> Path:
    """The path α → G_h · I · G_wᵀ with σ = `max_sigma` · (1 − α)², and its derivative."""

    def path(alpha: float) -> tuple[paddle.Tensor, paddle.Tensor]:
        sigma = max_sigma * (1 - alpha) ** 2
        of_sigma = -2 * max_sigma * (1 - alpha)  # dσ/dα
        (rows, rows_slope), (columns, columns_slope) = (
            [paddle.to_tensor(each, dtype=images.dtype) for each in _blur(size, sigma)]
            for size in images.shape[2:]
        )
        half = paddle.matmul(rows, images)
        point = paddle.matmul(half, columns, transpose_y=True)
        slope = paddle.matmul(half, columns_slope, transpose_y=True)
        slope += paddle.matmul(paddle.matmul(rows_slope, images), columns, transpose_y=True)
        return point, of_sigma * slope

    return path


def _blur(size: int, sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """The matrix of a Gaussian blur along a side, whose rows sum to 1, and its derivative by σ."""
    sigma = max(sigma, SHARPEST)
    places = np.arange(size)
    square = (places[:, None] - places) ** 2
    weights = np.exp(-square / (2 * sigma**2))
    weights /= weights.sum(1, keepdims=True)
    growth = square / sigma**3
    return weights, weights * (growth - (weights * growth).sum(1, keepdims=True))
