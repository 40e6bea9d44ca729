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


def two_heads(num_classes=3):
    """A network that returns a dict: a segmentation `[N, classes, h, w]`, and logits."""
    network = TwoHeads(num_classes)
    network.eval()
    return network


class TwoHeads(nn.Layer):
    def __init__(self, num_classes):
        super().__init__()
        paddle.seed(1)
        self.stem = nn.Sequential(nn.Conv2D(3, 8, 3, stride=2, padding=1), nn.ReLU())
        self.segments = nn.Conv2D(8, num_classes, 1)
        self.classes = nn.Sequential(
            nn.AdaptiveAvgPool2D(1), nn.Flatten(), nn.Linear(8, num_classes)
        )

    def forward(self, images):
        features = self.stem(images)
        return {"segments": self.segments(features), "classes": self.classes(features)}


def contrast(outputs, images):
    """A score of the logits of `small_net`: the first class without the second one."""
    return outputs[:, 0] - outputs[:, 1]


def power(exponent=2):
    """Make a score: the sum of powers of the logits."""

    def score(outputs, images):
        return (outputs**exponent).sum(axis=1)

    return score


def broken(outputs, images):
    """A score that fails."""
    return outputs["logits"]


NUMBER = 3
