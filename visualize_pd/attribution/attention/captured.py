"""The attention of all blocks of a transformer, and a map of what one of its tokens gets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import paddle
from paddle.nn import functional

from ...core.errors import ModelError
from ...network.fast import fast_layers
from ...network.hooks import Calls, capture_outputs, frozen
from ...network.layers.attention import Attention, capture_attention
from ...network.layers.tokens import Layouts, Tokens
from ...network.scores import Score, check_images, score_outputs

SHARED = """\
    `[N, 1, H, W]` at the size of the images, not negative, not rescaled.

    `attention_layer`: the layers that return the attention `[N, heads, T, T]`, as a name, several
    names, or a pattern such as `blocks.*.attn_drop`. By default it is found where the network
    computes a softmax. Raises `ModelError` for a network without attention over all tokens of the
    image, or whose attention cannot be seen because one fused operation computes it.
    """


def attention_method(method: Callable) -> Callable:
    """Add to the docstring of a method what all methods of this folder share."""
    method.__doc__ = f"{(method.__doc__ or '').rstrip()}\n\n{SHARED}"
    return method


class Captured(NamedTuple):
    """The attention of a pass without gradients, the layout of its tokens, and the classes."""

    attention: list[Attention]
    layout: Tokens
    chosen: paddle.Tensor


def forward_with_attention(
    network: paddle.nn.Layer,
    images: paddle.Tensor,
    targets: Any,
    names: str | Sequence[str] | None,
    score: Score,
) -> Captured:
    """Run a forward pass without gradients. Keep the attention, and check classes and score."""
    check_images(images)
    with (
        frozen(network),
        fast_layers(),
        paddle.no_grad(),
        capture_outputs(*convolutions(network)) as calls,
        capture_attention(network, names) as found,
    ):
        _, chosen, _ = score_outputs(network, network(images), images, targets, score)
    return Captured(found, tokens_of(network, images, calls, found), chosen)


def tokens_of(
    network: paddle.nn.Layer, images: paddle.Tensor, calls: Calls, found: Sequence[Attention]
) -> Tokens:
    """The layout of the tokens between which the attention is. `calls` are of the convolutions.

    Raises `ModelError` if there is no attention, if it is inside windows, or if the number of
    tokens changes from block to block.
    """
    if not found:
        raise ModelError(
            "no attention was found in the network; if one fused operation computes it, such as "
            "scaled_dot_product_attention, build the network without it, so that a softmax makes "
            "the attention, or name the layers that return it as attention_layer"
        )
    lengths = sorted({each.weights.shape[-1] for each in found})
    layout = Layouts(network, images, calls).tokens(lengths[0])
    leading = {each.weights.shape[0] for each in found if each.weights.ndim == 4}
    if layout is None or len(lengths) > 1 or leading - {len(images)}:
        several = " or ".join(map(str, lengths))
        raise ModelError(
            f"the attention is between {several} tokens, which are not those of the whole image "
            "(it may be inside windows, or their number may change); use a CAM, or gradient"
        )
    return layout


def heat_of(received: paddle.Tensor, layout: Tokens, images: paddle.Tensor) -> paddle.Tensor:
    """A map `[N, 1, H, W]` of what each token has received, `[N, T]`. Extra tokens are left out."""
    small = layout.maps(received.unsqueeze(2))
    return functional.interpolate(small, size=images.shape[2:], mode="bilinear").detach()


def of_output_token(relevance: paddle.Tensor, layout: Tokens) -> paddle.Tensor:
    """The row of `[N, T, T]` from which the scores are read: `[N, T]`.

    It is that of the class token, or without one the mean over all tokens.
    """
    return relevance[:, 0] if layout.extra else relevance.mean(axis=1)


def convolutions(network: paddle.nn.Layer) -> list[paddle.nn.Layer]:
    return [layer for layer in network.sublayers() if isinstance(layer, paddle.nn.Conv2D)]
