"""The weights of a small residual network, which Paddle and PyTorch build alike."""

import numpy as np
import paddle
from paddle import nn
from paddle.nn import functional

PAIRS = {"conv": "norm", "left": "left_norm", "right": "right_norm"}


def random(shape, seed, scale=1.0):
    return (np.random.default_rng(seed).standard_normal(shape) * scale).astype("float32")


def weights():
    """Arrays by name, in PyTorch's layout."""
    found = {
        "conv.weight": random((6, 3, 3, 3), 1, 0.4),
        "conv.bias": random(6, 2, 0.2),
        "left.weight": random((6, 6, 3, 3), 3, 0.2),
        "right.weight": random((6, 6, 1, 1), 4, 0.4),
        "hidden.weight": random((8, 12), 5, 0.5),
        "hidden.bias": random(8, 6, 0.2),
        "out.weight": random((4, 8), 7, 0.5),
        "out.bias": random(4, 8, 0.2),
    }
    for seed, norm in enumerate(PAIRS.values(), 10):
        found[f"{norm}.weight"] = 1 + random(6, seed, 0.3)
        found[f"{norm}.bias"] = random(6, 10 + seed, 0.3)
        found[f"{norm}.mean"] = random(6, 20 + seed, 0.3)
        found[f"{norm}.variance"] = 0.5 + random(6, 30 + seed) ** 2
    return found


def images():
    return random((2, 3, 10, 12), 99)


class Residual(nn.Layer):
    """Max pooling, a residual sum, BatchNorms, concatenation, ReLU and ReLU6, average pooling."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2D(3, 6, 3, padding=1)
        self.left = nn.Conv2D(6, 6, 3, padding=1, bias_attr=False)
        self.right = nn.Conv2D(6, 6, 1, bias_attr=False)
        self.norm, self.left_norm, self.right_norm = (nn.BatchNorm2D(6) for _ in range(3))
        self.pool = nn.MaxPool2D(2)
        self.hidden, self.out = nn.Linear(12, 8), nn.Linear(8, 4)
        known = {name: paddle.to_tensor(value) for name, value in weights().items()}
        for name, value in known.items():
            layer, part = name.split(".")
            part = {"mean": "_mean", "variance": "_variance"}.get(part, part)
            matrix = layer in ("hidden", "out") and part == "weight"
            getattr(getattr(self, layer), part).set_value(value.t() if matrix else value)
        self.eval()

    def forward(self, batch):
        stem = self.pool(functional.relu(self.norm(self.conv(batch))))
        left = functional.relu6(self.left_norm(self.left(stem)))
        right = self.right_norm(self.right(left))
        block = functional.relu(stem + right)
        both = paddle.concat([block, left], axis=1)
        pooled = functional.adaptive_avg_pool2d(both, 1).flatten(1)
        return self.out(functional.relu(self.hidden(pooled)))
