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


def other_net(num_classes=3):
    """Another classifier with other weights, to judge the images of `small_net`."""
    paddle.seed(7)
    return nn.Sequential(
        nn.Conv2D(3, 6, 5, stride=2),
        nn.Sigmoid(),
        nn.AdaptiveAvgPool2D(2),
        nn.Flatten(),
        nn.Linear(24, num_classes),
    )


def pooling_net(num_classes=3):
    """A classifier that takes no image under 16 × 16."""
    paddle.seed(0)
    return nn.Sequential(
        nn.MaxPool2D(4),
        nn.Conv2D(3, 4, 4),
        nn.AdaptiveAvgPool2D(1),
        nn.Flatten(),
        nn.Linear(4, num_classes),
    )


class _Energy(nn.Layer):
    def forward(self, images):
        return paddle.stack([(images**2).sum([1, 2, 3]) / 2, images.sum([1, 2, 3])], axis=1)


def energy_net(num_classes=2):
    """The gradient of its class 0 is the image itself. It takes any size and any channels."""
    return _Energy()


def bands_net(num_classes=3):
    """A convolutional classifier of images with five channels."""
    paddle.seed(0)
    return nn.Sequential(
        nn.Conv2D(5, 6, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2D(6, 8, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2D(1),
        nn.Flatten(),
        nn.Linear(8, num_classes),
    )


def attention_net(num_classes=3):
    """A vision transformer for any image size."""
    from transformers import Vit

    paddle.seed(0)
    return Vit(num_classes, patch=8)
