"""AlexNet in its version with one tower (Krizhevsky 2014, arXiv:1404.5997).

It has 61,100,840 parameters.
"""

from __future__ import annotations

import numpy as np
import paddle
from paddle import nn

from ...core.errors import ModelError


class AlexNet(nn.Layer):
    """AlexNet: images `[N, 3, H, W]` (H, W ≥ 63) → logits `[N, num_classes]`.

    The names of the parameters are those of torchvision and VisualizeCNN-Pd: `features.0.weight` …
    `classifier.6.bias`.
    """

    def __init__(self, num_classes: int = 1000):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2D(3, 64, 11, stride=4, padding=2),
            nn.ReLU(),
            nn.MaxPool2D(3, stride=2),
            nn.Conv2D(64, 192, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2D(3, stride=2),
            nn.Conv2D(192, 384, 3, padding=1),
            nn.ReLU(),
            nn.Conv2D(384, 256, 3, padding=1),
            nn.ReLU(),
            nn.Conv2D(256, 256, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2D(3, stride=2),
        )
        self.avgpool = nn.AdaptiveAvgPool2D(6)
        self.classifier = nn.Sequential(
            nn.Dropout(0.5),
            nn.Linear(256 * 6 * 6, 4096),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(4096, 4096),
            nn.ReLU(),
            nn.Linear(4096, num_classes),
        )

    def forward(self, images: paddle.Tensor) -> paddle.Tensor:
        if min(images.shape[2:]) < 63:  # Paddle 3 would compute with empty feature maps
            raise ModelError("AlexNet needs images of at least 63×63")
        return self.classifier(paddle.flatten(self.avgpool(self.features(images)), 1))


LAYERS = [f"features.{i}" for i in (0, 3, 6, 8, 10)] + [f"classifier.{i}" for i in (1, 4, 6)]
RENAMED = [f"f{i}_conv" for i in (1, 4, 7, 9, 11)] + ["c2", "c4", "c6"]
PADDLE_ZOO = ["_conv1._conv", "_conv2._conv", "_conv3", "_conv4", "_conv5._conv"]


PADDLE_ZOO += ["_fc6", "_fc7", "_fc8"]


def translate(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Rename the weights of VisualizeCNN-Pd's second AlexNet and of Paddle's model zoo.

    The network of the zoo multiplies the output of its two dropout layers by 0.5 at inference
    ("downscale_in_infer"). Here the weights of the layers after them are multiplied by 0.5 instead.
    """
    for names in (RENAMED, PADDLE_ZOO):
        if f"{names[0]}.weight" in arrays:
            to_ours = dict(zip(names, LAYERS))
            arrays = {_renamed(name, to_ours): array for name, array in arrays.items()}
            if names is PADDLE_ZOO:
                for layer in ("classifier.1.weight", "classifier.4.weight"):
                    if layer in arrays:
                        arrays[layer] = arrays[layer] * np.float32(0.5)
    return arrays


def _renamed(name: str, to_ours: dict[str, str]) -> str:
    layer, _, kind = name.rpartition(".")
    return f"{to_ours[layer]}.{kind}" if layer in to_ours else name
