"""Attention rollout: the attention of all blocks, multiplied."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import paddle

from ...core.checks import look_up
from ...network.scores import Score
from .captured import attention_method, forward_with_attention, heat_of, of_output_token

HEAD_FUSIONS = {"mean": paddle.mean, "max": paddle.max, "min": paddle.min}


@attention_method
def attention_rollout(
    network: paddle.nn.Layer,
    images: paddle.Tensor,
    targets: Any = None,
    *,
    head_fusion: str = "mean",
    attention_layer: str | Sequence[str] | None = None,
    score: Score = "logit",
) -> paddle.Tensor:
    """Attention rollout (Abnar & Zuidema 2020, equation 1): Π (A + I) / 2 over the blocks.

    A is the mean over the heads of a block's attention. `head_fusion` takes their mean, max or min.
    The map is what the class token, or without one the mean token, has received from each patch.
    The class is ignored. `score` is only checked: a network without logits needs a function.
    """
    fuse = look_up("head_fusion", head_fusion, HEAD_FUSIONS)
    captured = forward_with_attention(network, images, targets, attention_layer, score)
    found, layout = captured.attention, captured.layout
    rollout: Any = None
    for each in found:
        attention = fuse(each.by_head(each.weights, len(images)), axis=1)
        attention = attention / attention.sum(axis=-1, keepdim=True)
        mixed = (attention + paddle.eye(attention.shape[-1], dtype=attention.dtype)) / 2
        rollout = mixed if rollout is None else paddle.matmul(mixed, rollout)
    return heat_of(of_output_token(rollout, layout), layout, images)
