"""A small convolutional network, for tests of what a method promises."""

import paddle
from paddle import nn


def convolutional(classes=4):
    """A network with batch norm, dropout and a reused ReLU, in training mode.

    One parameter is frozen, and one layer is in evaluation mode.
    """
    paddle.seed(3)
    relu = nn.ReLU()
    network = nn.Sequential(
        nn.Conv2D(3, 6, 3, padding=1),
        nn.BatchNorm2D(6),
        relu,
        nn.Conv2D(6, 5, 3, stride=2),
        relu,
        nn.AdaptiveAvgPool2D(2),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(20, classes),
    )
    network.train()
    network[1].eval()
    network[0].weight.stop_gradient = True
    return network
