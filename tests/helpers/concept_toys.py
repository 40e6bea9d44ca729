"""A network whose concepts are known: three colours of six channels, in squares of an image."""

import numpy as np
import paddle
from paddle import nn

# Directions of length 1. Each has channels of its own, so no other factors fit as well.
PARTS = np.array([[0.6, 0.8, 0, 0, 0, 0], [0, 0, 1, 0, 0, 0], [0, 0, 0, 0.28, 0.96, 0]], "float32")
WEIGHTS = np.array([[1, 2, -3, 0.5, 0, 7], [0, 0, 0, 2, 1, 0]], "float32")  # [classes, channels]


class Colours(nn.Layer):
    """S_c(I) = w_c · mean over positions of ReLU(I). Its layer `relu` returns ReLU(I)."""

    def __init__(self, weights=WEIGHTS):
        super().__init__()
        self.relu, self.signed = nn.ReLU(), nn.Identity()
        self.weights = paddle.to_tensor(weights)

    def forward(self, images):
        maps = self.relu(self.signed(images))
        return maps.mean(axis=[2, 3]) @ self.weights.T


def amounts(count=4, side=16, block=8, seed=0):
    """How much of each part is at each position, `[N, H, W, 3]`: one part in each square."""
    random = np.random.default_rng(seed)
    squares = side // block
    kinds = random.permuted(np.arange(count * squares**2) % 3).reshape(count, squares, squares)
    sizes = random.uniform(0.5, 2, kinds.shape)
    found = np.eye(3)[kinds] * sizes[..., None]
    return found.repeat(block, axis=1).repeat(block, axis=2)


def coloured(parts_at):
    """The images `[N, 6, H, W]` with these amounts."""
    values = (parts_at @ PARTS).astype("float32").transpose(0, 3, 1, 2)
    return paddle.to_tensor(np.ascontiguousarray(values))
