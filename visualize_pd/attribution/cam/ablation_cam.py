"""Ablation-CAM: the score without each feature map."""

from __future__ import annotations

import numpy as np
import paddle

from ...core.errors import ConfigError
from ...network.batching import batches, pass_size, repeat
from ...network.finite import passes_of_a_loop
from ...network.layers.tokens import Windows
from ...network.partial_forward import PartialForward
from ...network.scores import score_function, score_outputs
from .pipeline import CamInputs, cam


@cam(gradients=False)
def ablation_cam(inputs: CamInputs, *, batch_size: int | None = None) -> paddle.Tensor:
    """Ablation-CAM (Desai & Ramaswamy 2020, equation 3): w_k = (S_c − S_c without A_k) / |S_c|.

    Layers that end before the feature maps do not run again; all else runs once for each channel
    that is not all zero. Extra tokens, such as a class token, stay as they are.
    """
    layer, layout = inputs.layer, inputs.layout
    if layer is None or isinstance(layout, Windows):
        raise ConfigError(
            "Ablation-CAM needs whole feature maps that a layer returns, but these are "
            f"{'made between layers' if layer is None else 'cut into windows'}; name another layer "
            "as target_layer"
        )
    images, (count, channels) = inputs.forward_pass.images.detach(), inputs.activations.shape[:2]
    size = pass_size(inputs.network, images, batch_size)
    weights = paddle.zeros([count, channels, 1, 1], dtype=inputs.activations.dtype)
    zero = (inputs.activations == 0).all(axis=[2, 3]).numpy()
    with score_function(inputs.network):
        for n in range(count):
            rest = PartialForward(inputs.network, layer, images[n : n + 1], inputs.call)
            maps, target = inputs.activations[n : n + 1], inputs.forward_pass.targets[n : n + 1]
            live = np.flatnonzero(~zero[n])
            own = inputs.forward_pass.scores[n : n + 1]
            found = [own]
            with passes_of_a_loop():
                for part in batches(len(live), size, "leaving out channels"):
                    kept = np.ones((part.stop - part.start, channels, 1, 1), dtype="float32")
                    kept[np.arange(len(kept)), live[part]] = 0
                    altered = maps * paddle.to_tensor(kept).astype(maps.dtype)
                    outputs = rest(layout.put(altered, inputs.output[n : n + 1]))
                    each, held = repeat(images[n : n + 1], len(kept)), repeat(target, len(kept))
                    scored = score_outputs(inputs.network, outputs, each, held, inputs.score)
                    found.append(own - scored.scores)
            score, *lost = paddle.concat(found).numpy().astype("float64")
            drops, scale = np.zeros(channels), abs(score) or 1.0
            drops[live] = lost
            weights[n] = paddle.to_tensor(
                (drops / scale).reshape(channels, 1, 1), dtype=weights.dtype
            )
    return weights * inputs.activations
