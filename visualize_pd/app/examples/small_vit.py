"""A small vision transformer, for trying the methods that need attention.

    python -m visualize_pd.app.examples.shortcut --network small_vit
    python method_1_pp.py --config configs/transformer.yaml

It is built as Dosovitskiy et al. 2021 describe it, with a class token, for 112 × 112 pixels.
"""

from __future__ import annotations

import paddle
from paddle import nn

SIDE, PATCH, WIDTH, HEADS, DEPTH = 112, 8, 48, 4, 3


class Block(nn.Layer):
    """Attention and two linear layers, each after a normalisation and with a shortcut."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.attn = nn.MultiHeadAttention(WIDTH, HEADS)
        self.mlp = nn.Sequential(
            nn.Linear(WIDTH, 2 * WIDTH), nn.GELU(), nn.Linear(2 * WIDTH, WIDTH)
        )

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class SmallViT(nn.Layer):
    """14 × 14 patches and a class token, three blocks, and a linear layer on the class token."""

    def __init__(self, num_classes: int = 2) -> None:
        super().__init__()
        normal = nn.initializer.Normal(std=0.02)
        count = (SIDE // PATCH) ** 2 + 1
        self.patch_embed = nn.Conv2D(3, WIDTH, PATCH, PATCH)
        self.class_token = self.create_parameter([1, 1, WIDTH], default_initializer=normal)
        self.positions = self.create_parameter([1, count, WIDTH], default_initializer=normal)
        self.blocks = nn.LayerList([Block() for _ in range(DEPTH)])
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, num_classes)

    def forward(self, images: paddle.Tensor) -> paddle.Tensor:
        """The logits `[N, num_classes]` of normalised images `[N, 3, 112, 112]`."""
        x = self.patch_embed(images).flatten(2).transpose([0, 2, 1])
        first = self.class_token.expand([x.shape[0], 1, WIDTH])
        x = paddle.concat([first, x], axis=1) + self.positions
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x)[:, 0])


def small_vit(num_classes: int = 2) -> nn.Layer:
    """Build the transformer with random weights."""
    return SmallViT(num_classes)
