"""The fingerprint of a network: its weights, its layers, its input and its class names."""

from __future__ import annotations

from ..core.fingerprint import Fingerprint, array_digest, digest, value_digest
from ..network.outputs import activation_of, selected_output
from .classifier import Classifier
from .preprocess import CROP


def network_fingerprint(classifier: Classifier) -> Fingerprint:
    """What decides the results of a network: its `weights`, its `network` and its `labels`.

    The weights are taken from memory, so a weight file is not read again, and a network that a
    callable has built has a fingerprint too.
    """
    state = classifier.network.state_dict().items()
    weights = (name + " " + array_digest(value.numpy()) for name, value in state)
    seen = ("image_size", "mean", "std", "resize", "resample")
    sight = {key: getattr(classifier, key) for key in seen}
    if classifier.preprocess != CROP:  # so that figures of earlier versions still hold
        sight.update(preprocess=classifier.preprocess, resolution=classifier.resolution)
    output, activation = selected_output(classifier.network), activation_of(classifier.network)
    if (output, activation) != (None, "softmax"):
        sight.update(output=output, activation=activation)
    return {
        "weights": digest(*weights),
        "network": digest(classifier.name, repr(classifier.network), value_digest(sight)),
        "labels": value_digest(classifier.labels),
    }
