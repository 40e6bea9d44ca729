"""Score-CAM: feature maps as masks of the image."""

from __future__ import annotations

import numpy as np
import paddle
from paddle.nn import functional

from ...network.batching import batches, pass_size, repeat
from ...network.finite import passes_of_a_loop
from ...network.scores import score_function
from .pipeline import CamInputs, cam


@cam(gradients=False)
def score_cam(inputs: CamInputs, *, batch_size: int | None = None) -> paddle.Tensor:
    """Score-CAM (Wang et al. 2020, equation 8): α = softmax over k of S_c(I ⊙ A_k in [0, 1]).

    It takes one pass for each channel. A constant channel becomes a mask of zeros; all such
    channels share one pass. `batch_size`: by default 32; on a GPU, as many as fit into its memory.
    """
    images, (count, channels) = inputs.forward_pass.images.detach(), inputs.activations.shape[:2]
    size = pass_size(inputs.network, images, batch_size)
    weights = paddle.zeros([count, channels, 1, 1], dtype=inputs.activations.dtype)
    low, high = (f(inputs.activations, axis=[2, 3], keepdim=True) for f in (paddle.min, paddle.max))
    flat = (low == high).numpy().reshape(count, channels)
    with score_function(inputs.network) as score_of:
        for n in range(count):
            image, target = images[n : n + 1], inputs.forward_pass.targets[n : n + 1]
            live = np.flatnonzero(~flat[n])
            with passes_of_a_loop():
                found = [score_of(paddle.zeros_like(image), target, inputs.score)[0]]
                for part in batches(len(live), size, "masking by channels"):
                    chosen = paddle.to_tensor(live[part])
                    small = paddle.index_select(inputs.activations[n], chosen).unsqueeze(1)
                    mask = functional.interpolate(small, size=image.shape[2:], mode="bilinear")
                    shape = [len(chosen), *image.shape[1:]]
                    masked = image.expand(shape) * _stretched(mask).expand(shape)
                    found.append(score_of(masked, repeat(target, len(chosen)), inputs.score)[0])
            nothing, *each = paddle.concat(found).numpy().astype("float64")
            scores = np.full(channels, nothing)
            scores[live] = each
            shares = np.exp(scores - scores.max())
            weights[n] = paddle.to_tensor(
                (shares / shares.sum()).reshape(channels, 1, 1), dtype=weights.dtype
            )
    return weights * inputs.activations


def _stretched(maps: paddle.Tensor) -> paddle.Tensor:
    """Scale each map linearly, its lowest value to 0 and its highest to 1. A flat one becomes 0."""
    low, high = (f(maps, axis=[1, 2, 3], keepdim=True) for f in (paddle.min, paddle.max))
    return (maps - low) / paddle.where(high > low, high - low, paddle.ones_like(high))
