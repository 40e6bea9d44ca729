"""What the tests of guided backpropagation and deconvnet share."""

import numpy as np
import paddle
import pytest
from paddle import nn

from visualize_pd import deconvnet, gradient, guided_backprop

# The gradient itself, and the methods of the two ReLU rules.
METHODS = {"gradient": gradient, "guided": guided_backprop, "deconvnet": deconvnet}
every_rule = pytest.mark.parametrize("rule", METHODS)
# Paddle's own operations, before any rule replaces them.
OPERATIONS = {name: getattr(paddle._C_ops, name) for name in ("relu", "relu6")}


class CallsFunction(nn.Layer):
    """A layer that calls a function."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def dense(matrix):
    """A linear layer that computes matrix · x."""
    matrix = np.float32(matrix)
    layer = nn.Linear(*matrix.shape[::-1], bias_attr=False)
    layer.weight.set_value(matrix.T)
    return layer


def pixels(*rows):
    """Images of one pixel. Each row holds the channels of one image."""
    return paddle.to_tensor(np.float32(rows))[:, :, None, None]
