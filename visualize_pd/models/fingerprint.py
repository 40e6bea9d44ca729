"""The fingerprint of a network: its weights, its layers, its input and its class names."""

from __future__ import annotations

import paddle

from ..core.fingerprint import Fingerprint, array_digest, digest, value_digest
from ..network.outputs import activation_of, selected_output
from .classifier import Classifier
from .preprocess import CROP


def weights_digest(network: paddle.nn.Layer) -> str:
    """A digest of the names and values of all parameters and buffers."""
    state = network.state_dict().items()
    return digest(*(f"{name} {array_digest(value.numpy())}" for name, value in state))


def network_fingerprint(classifier: Classifier) -> Fingerprint:
    """What decides the results of a network: its `weights`, its `network` and its `labels`.

    The weights are taken from memory, so a weight file is not read again, and a network that a
    callable has built has a fingerprint too.
    """
    seen = ("image_size", "mean", "std", "resize", "resample")
    sight = {key: getattr(classifier, key) for key in seen}
    if classifier.preprocess != CROP:  # so that figures of earlier versions still hold
        sight.update(preprocess=classifier.preprocess, resolution=classifier.resolution)
    output, activation = selected_output(classifier.network), activation_of(classifier.network)
    if (output, activation) != (None, "softmax"):
        sight.update(output=output, activation=activation)
    return {
        "weights": weights_digest(classifier.network),
        "network": digest(classifier.name, repr(classifier.network), value_digest(sight)),
        "labels": value_digest(classifier.labels),
    }
