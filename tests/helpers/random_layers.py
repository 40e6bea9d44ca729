"""A network to be made random, and a method that watches it."""

import numpy as np
import paddle
from convnet import convolutional

from visualize_pd import gradient

LAYERS = ["8", "3", "1", "0"]  # of `convolutional()`, the last first


def trained():
    """`convolutional()`, whose biases and statistics differ from those of a new network."""
    network, random = convolutional(), np.random.default_rng(9)
    for value in network.state_dict().values():
        if value.ndim == 1:
            value.set_value(random.uniform(0.5, 1.5, value.shape).astype("float32"))
    return network


class Watching:
    """The gradient method. It keeps the network's values, the targets and the map of each call.

    At call `explode_at` it raises a ZeroDivisionError.
    """

    def __init__(self, explode_at=None):
        self.states, self.targets, self.maps, self.explode_at = [], [], [], explode_at

    def __call__(self, network, batch, targets):
        if len(self.states) == self.explode_at:
            raise ZeroDivisionError
        values = {name: value.numpy().copy() for name, value in network.state_dict().items()}
        self.states.append(values)
        self.targets.append(np.asarray(targets).tolist())
        self.maps.append(gradient(network, batch, targets).numpy())
        return paddle.to_tensor(self.maps[-1])
