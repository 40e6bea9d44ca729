"""Transformer attribution: the attention of all blocks, weighted by its gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import paddle

from ...network.gradients import differentiate, record_forward
from ...network.layers.attention import capture_attention
from ...network.scores import Score
from .captured import attention_method, convolutions, heat_of, of_output_token, tokens_of


@attention_method
def transformer_attribution(
    network: paddle.nn.Layer,
    images: paddle.Tensor,
    targets: Any = None,
    *,
    score: Score = "logit",
    attention_layer: str | Sequence[str] | None = None,
) -> paddle.Tensor:
    """R ← R + Ā·R over the blocks, Ā = mean over heads of (A ⊙ ∂S_c/∂A)⁺ (Chefer et al. 2021).

    These are equations 5 and 6 of Generic attention-model explainability. R begins as the identity.
    The map is the row of R that belongs to the class token, or without one the mean of all rows.
    """
    with capture_attention(network, attention_layer) as found:
        passed = record_forward(network, images, targets, score=score, layers=convolutions(network))
    layout = tokens_of(network, passed.images, passed.calls, found)
    slopes = differentiate(passed.scores, [each.weights for each in found])
    relevance: Any = None
    for each, slope in zip(found, slopes):
        weighted = each.by_head((each.weights * slope).detach(), len(images))
        attention = weighted.clip(min=0).mean(axis=1)
        if relevance is None:
            relevance = paddle.eye(attention.shape[-1], dtype=attention.dtype)
        relevance = relevance + paddle.matmul(attention, relevance.expand_as(attention))
    return heat_of(of_output_token(relevance, layout), layout, images)
