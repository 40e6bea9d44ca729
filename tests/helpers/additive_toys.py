"""Networks whose score of hidden images is known, for the methods that hide parts."""

import numpy as np
from toys import Linear, weights

W = weights(3, 7, 10)


class Nonlinear(Linear):
    """S_c = z + z²/8 with z = Σ w_c · I/4. The effects of two pixels do not simply add up."""

    def forward(self, batch):
        z = super().forward(batch) / 4
        return z + z * z / 8


def score_by_hand(image, target, score="logit", w=W):
    """The score of `Nonlinear` for an image `[3, H, W]`."""
    z = (w.astype("float64") * image).sum((1, 2, 3)) / 4
    logits = z + z * z / 8
    powers = np.exp(logits - logits.max())
    probability = (powers / powers.sum())[target]
    return {"logit": logits[target], "probability": probability}.get(score, np.log(probability))
