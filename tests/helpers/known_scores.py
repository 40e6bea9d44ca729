"""Linear networks whose score is known for every changed image, for the tests of the measures.

The score of a linear network is a sum over pixels. So each measure of such a network has a value
that can be worked out by algebra.
"""

import numpy as np
import paddle
from fills import FILLS
from toys import Linear, images, weights

from visualize_pd import gradient
from visualize_pd.core.checks import options_of
from visualize_pd.evaluate import (
    average_drop,
    average_gain,
    completeness,
    contrast_insertion,
    deletion,
    infidelity,
    insertion,
    max_sensitivity,
    road,
    sensitivity_n,
)

W = weights()
TARGETS = [2, 0]
CURVES = [insertion, deletion]
MAP_MEASURES = [
    insertion,
    deletion,
    contrast_insertion,
    road,
    average_drop,
    average_gain,
    infidelity,
    sensitivity_n,
    completeness,
]
ALL_MEASURES = [*MAP_MEASURES, max_sensitivity]
# What the four pixels of an image of ones add to the logit of class 0.
VALUES = [[8.0, 1.0], [4.0, 2.0]]
ZERO = {"baseline": "zero", "score": "logit"}


def network_of_shares(values, others=()):
    """A network and an image of ones, whose pixels add `values` to the logit of class 0.

    `others` are the same for the classes 1, 2, …
    """
    planes = [np.asarray(each, dtype="float32") for each in (values, *others)]
    w = [np.stack([plane / 2, plane / 4, plane / 4]) for plane in planes]
    return Linear(w), paddle.ones([1, 3, *planes[0].shape])


def as_map(values):
    return np.asarray(values, dtype="float32")[None, None]


def contributions(batch, targets=TARGETS, w=W):
    """What each pixel adds to the logit of its image's target, `[N, H, W]`."""
    return (w[targets].astype("float64") * batch.numpy()).sum(1)


def softmax(logits):
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def logits_of(pixels, w=W):
    return np.einsum("nchw,kchw->nk", np.asarray(pixels, dtype="float64"), w)


class Recording(Linear):
    """A linear network that keeps every batch it was given, in `inputs`."""

    def __init__(self, w):
        super().__init__(w)
        self.inputs = []

    def forward(self, batch):
        self.inputs.append(batch.numpy())
        return super().forward(batch)


def fill_of(baseline, batch):
    """A baseline as an option of a measure, and the images `[N, C, H, W]` that it stands for."""
    if baseline in FILLS:
        return baseline, np.stack([FILLS[baseline](image) for image in batch.numpy()])
    fill = images(1 if baseline == "one" else 2, seed=5)
    return fill, np.broadcast_to(fill.numpy(), batch.shape)


BASELINES = [*FILLS, "one", "each"]
READ = {
    "logit": lambda z: z,
    "probability": softmax,
    "log_probability": lambda z: np.log(softmax(z)),
}


def measured(method, network, batch, maps, targets=None, **options):
    """All numbers that a measure returns, one row for each image. It gets the options it knows."""
    known = options_of(method)
    options = {key: value for key, value in options.items() if key in known}
    if "others" in known:
        options.setdefault("others", "top1")
    if method is max_sensitivity:
        return method(network, batch, gradient, targets, **options)[:, None]
    found = method(network, batch, maps, targets, **options)
    if method is average_drop:
        return np.stack(found, axis=1).astype(float)
    if method is average_gain:
        found = 1 + found  # `close` needs numbers that are not 0
    if method is contrast_insertion:
        found = np.nan_to_num(found.scores, nan=-1)
    numbers = getattr(found, "scores", found)
    return numbers if numbers.ndim == 2 else numbers[:, None]
