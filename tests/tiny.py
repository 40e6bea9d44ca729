"""Small networks, importable as `tiny:small_net` by a script that runs in this folder."""

import paddle
from paddle import nn


def small_net(num_classes=3):
    """A convolutional classifier of any image size, with seeded weights."""
    paddle.seed(0)
    return nn.Sequential(
        nn.Conv2D(3, 4, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2D(4, 8, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2D(1),
        nn.Flatten(),
        nn.Linear(8, num_classes),
    )
