"""LeGrad: how sensitive the class is to the attention of each block."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import paddle

from ...core.errors import ModelError
from ...network.fast import fast_layers
from ...network.gradients import differentiate
from ...network.hooks import frozen
from ...network.layers.attention import Attention, blocks_of, capture_attention
from ...network.outputs import each_tensor
from ...network.scores import Score, score_outputs
from ...network.scores.functions import check_connected
from .captured import attention_method, forward_with_attention, heat_of


@attention_method
def legrad(
    network: paddle.nn.Layer,
    images: paddle.Tensor,
    targets: Any = None,
    *,
    score: Score = "logit",
    attention_layer: str | Sequence[str] | None = None,
) -> paddle.Tensor:
    """LeGrad (Bousselham et al. 2024): (∂s/∂A)⁺, the mean over blocks, heads and tokens that look.

    A is the attention of a block. s is the score that the rest of the network, all that follows the
    last block, gives for the tokens that this block returns. The map is what each patch gets.
    `score`: logit, probability or log_probability, or a function of the outputs.
    """
    captured = forward_with_attention(network, images, targets, attention_layer, score)
    blocks, layout, chosen = _blocks_in_order(captured.attention), captured.layout, captured.chosen
    with (
        frozen(network),
        fast_layers(),
        paddle.enable_grad(),
        capture_attention(network, attention_layer, cut=True) as found,
        _all_to_the_head(blocks),
    ):
        every = network(images.detach())
        scores = []
        for number in range(len(blocks)):
            outputs = each_tensor(every, partial(_rows, number=number, count=len(images)))
            scores.append(score_outputs(network, outputs, images, chosen, score).scores)
        every_score = paddle.concat(scores)
    if callable(score):
        check_connected(score, scores[-1])
    slopes = differentiate(every_score, [each.weights for each in found])
    received: Any = 0.0
    for each, slope in zip(found, slopes):
        positive = each.by_head(slope, len(images)).clip(min=0)
        received = received + positive.mean(axis=[1, 2]) / len(found)
    return heat_of(received, layout, images)


def _rows(output: paddle.Tensor, number: int, count: int) -> paddle.Tensor:
    """The rows of one block in an output. One that no block reaches has only `count` rows."""
    return (
        output[number * count : (number + 1) * count]
        if output.ndim and len(output) > count
        else output
    )


def _blocks_in_order(found: Sequence[Attention]) -> list[paddle.nn.Layer]:
    blocks = blocks_of(found)
    if None in blocks:
        raise ModelError(
            "legrad needs a layer for each block of the network, and an attention in it is in no "
            "such layer; use transformer_attribution"
        )
    return [block for block in blocks if block is not None]


@contextmanager
def _all_to_the_head(blocks: Sequence[paddle.nn.Layer]) -> Iterator[None]:
    """Inside the block, what follows the last block sees the outputs of all blocks, one batch.

    No block gets a gradient from a later block.
    """
    outputs: list[paddle.Tensor] = []

    def begin(_layer: paddle.nn.Layer, inputs: Any) -> Any:
        return (inputs[0].detach(), *inputs[1:])

    def end(layer: paddle.nn.Layer, _inputs: Any, output: Any) -> Any:
        tokens = output[0] if isinstance(output, (tuple, list)) else output
        outputs.append(tokens)
        if layer is not blocks[-1]:
            return output
        if any(each.shape != tokens.shape for each in outputs):
            raise ModelError(
                "legrad needs blocks that return tokens of one shape; use transformer_attribution"
            )
        every = paddle.concat(outputs)
        return (every, *output[1:]) if isinstance(output, (tuple, list)) else every

    handles = [layer.register_forward_pre_hook(begin) for layer in blocks]
    handles += [layer.register_forward_post_hook(end) for layer in blocks]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
