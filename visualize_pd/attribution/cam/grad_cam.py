"""CAMs that weight feature maps by their gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import paddle

from ...network.scores import Score
from .pipeline import CamInputs, cam


@cam
def grad_cam(inputs: CamInputs) -> paddle.Tensor:
    """Grad-CAM (Selvaraju et al. 2017, equations 1 and 2): α_k = mean of ∂S_c/∂A_k."""
    return inputs.gradients.mean(axis=[2, 3], keepdim=True) * inputs.activations


@cam
def grad_cam_pp(inputs: CamInputs) -> paddle.Tensor:
    """Grad-CAM++ (Chattopadhay et al. 2018, equations 5 and 19): w_k = Σ α · ReLU(∂S_c/∂A_k).

    α = g² / (2g² + ΣA · g³) with g = ∂S_c/∂A. The score of the paper is e^S. Its derivative has the
    factor e^S, which is left out here.
    """
    g = inputs.gradients
    denominator = 2 + inputs.activations.sum(axis=[2, 3], keepdim=True) * g
    counts = paddle.logical_and(g > 0, denominator > 0)
    alpha = counts.astype(g.dtype) / paddle.where(counts, denominator, paddle.ones_like(g))
    return (alpha * g.clip(min=0)).sum(axis=[2, 3], keepdim=True) * inputs.activations


@cam
def xgrad_cam(inputs: CamInputs) -> paddle.Tensor:
    """XGrad-CAM (Fu et al. 2020, equation 8): w_k = Σ A_k · ∂S_c/∂A_k / Σ A_k."""
    total = inputs.activations.sum(axis=[2, 3], keepdim=True)
    weighted = (inputs.activations * inputs.gradients).sum(axis=[2, 3], keepdim=True)
    empty = total == 0
    return weighted / paddle.where(empty, paddle.ones_like(total), total) * inputs.activations


@cam
def layer_cam(inputs: CamInputs) -> paddle.Tensor:
    """Layer-CAM (Jiang et al. 2021, equation 6): each position has the weight ReLU(∂S_c/∂A)."""
    return inputs.gradients.clip(min=0) * inputs.activations


@cam
def hires_cam(inputs: CamInputs) -> paddle.Tensor:
    """HiResCAM (Draelos & Carin 2020): Σ_k A_k · ∂S_c/∂A_k, place by place.

    After a ReLU, as for all CAMs here. On the maps before global pooling and one linear layer it is
    exact: it shows how much each place adds to the score.
    """
    return inputs.gradients * inputs.activations


def guided_grad_cam(
    network: paddle.nn.Layer,
    images: paddle.Tensor,
    targets: Any = None,
    *,
    target_layer: str | Sequence[str] | None = None,
    score: Score = "logit",
) -> paddle.Tensor:
    """Grad-CAM × guided backprop (Selvaraju et al. 2017, section 3.3): `[N, C, H, W]`, signed."""
    return grad_cam(network, images, targets, target_layer=target_layer, score=score, guided=True)
