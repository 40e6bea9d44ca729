"""Small transformers with random weights, in the shapes in which people build them."""

import paddle
from paddle import nn
from paddle.nn import functional

ATTENTION_METHODS = ("attention_rollout", "transformer_attribution", "legrad")


class Attention(nn.Layer):
    """Multi-head attention with a softmax, as in PaddleClas's ViT."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.attn_drop = nn.Dropout(0.1)

    def forward(self, x):
        count, length, width = x.shape
        qkv = self.qkv(x).reshape([count, length, 3, self.heads, width // self.heads])
        q, k, v = qkv.transpose([2, 0, 3, 1, 4])
        attention = functional.softmax(
            q.matmul(k, transpose_y=True) * (width // self.heads) ** -0.5
        )
        mixed = self.attn_drop(attention).matmul(v)
        return self.proj(mixed.transpose([0, 2, 1, 3]).reshape([count, length, width]))


class Block(nn.Layer):
    """A block with its normalisations before attention and MLP."""

    def __init__(self, width, heads, act=nn.GELU):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn = Attention(width, heads)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), act(), nn.Linear(2 * width, width))

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Vit(nn.Layer):
    """A ViT for any image size: `extra` tokens first, of which the first one is read.

    Without extra tokens the mean token is read. `positions` are added for images of `size`.
    """

    def __init__(
        self, classes=5, width=8, heads=2, depth=3, patch=4, extra=1, size=None, act=nn.GELU
    ):
        super().__init__()
        self.patch_embed = nn.Conv2D(3, width, patch, patch)
        self.extra = extra
        if extra:
            self.tokens = self.create_parameter(
                [1, extra, width], default_initializer=nn.initializer.Normal()
            )
        self.blocks = nn.LayerList([Block(width, heads, act) for _ in range(depth)])
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, classes)
        self.positions = None
        if size:
            length = (size[0] // patch) * (size[1] // patch) + extra
            self.positions = self.create_parameter(
                [1, length, width], default_initializer=nn.initializer.Normal(std=0.5)
            )

    def forward(self, images):
        x = self.patch_embed(images).flatten(2).transpose([0, 2, 1])
        if self.extra:
            first = self.tokens.expand([x.shape[0], self.extra, x.shape[2]])
            x = paddle.concat([first, x], axis=1)
        if self.positions is not None:
            x = x + self.positions
        for block in self.blocks:
            x = block(x)
        x = self.norm(x)
        return self.head(x[:, 0] if self.extra else x.mean(axis=1))


class Encoder(nn.Layer):
    """Paddle's own encoder, whose normalisations come after attention and MLP by default."""

    def __init__(self, classes=5, width=8, heads=2, depth=3, patch=4, before=False):
        super().__init__()
        self.embed = nn.Conv2D(3, width, patch, patch)
        self.token = self.create_parameter([1, 1, width])
        layer = nn.TransformerEncoderLayer(
            width, heads, 2 * width, dropout=0.1, activation="gelu", normalize_before=before
        )
        self.enc, self.head = nn.TransformerEncoder(layer, depth), nn.Linear(width, classes)

    def forward(self, images):
        x = self.embed(images).flatten(2).transpose([0, 2, 1])
        x = paddle.concat([self.token.expand([x.shape[0], 1, x.shape[2]]), x], axis=1)
        return self.head(self.enc(x)[:, 0])


class WindowBlock(nn.Layer):
    """A block of Swin: attention inside windows, which are shifted in every second block."""

    def __init__(self, width, heads, window, shift):
        super().__init__()
        self.window_size, self.shift_size = window, shift
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn = Attention(width, heads)
        self.mlp = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )

    def forward(self, x, grid):
        (height, width), (count, _, channels) = grid, x.shape
        side, shift = self.window_size, self.shift_size
        down, across = -(-height // side), -(-width // side)
        y = self.norm1(x).reshape([count, height, width, channels])
        y = functional.pad(
            y.transpose([0, 3, 1, 2]), [0, across * side - width, 0, down * side - height]
        ).transpose([0, 2, 3, 1])
        y = paddle.roll(y, [-shift, -shift], axis=[1, 2])
        y = y.reshape([count, down, side, across, side, channels]).transpose([0, 1, 3, 2, 4, 5])
        y = self.attn(y.reshape([-1, side * side, channels]))
        y = y.reshape([count, down, across, side, side, channels]).transpose([0, 1, 3, 2, 4, 5])
        y = y.reshape([count, down * side, across * side, channels])
        y = paddle.roll(y, [shift, shift], axis=[1, 2])[:, :height, :width]
        x = x + y.reshape([count, height * width, channels])
        return x + self.mlp(self.norm2(x))


class Swin(nn.Layer):
    """Two stages of window attention; between them four neighbours become one token."""

    def __init__(self, classes=5, width=8, heads=2, patch=2, window=3):
        super().__init__()
        self.patch_embed = nn.Conv2D(3, width, patch, patch)
        shifts = (0, window // 2)
        self.first = nn.LayerList([WindowBlock(width, heads, window, s) for s in shifts])
        self.merge = nn.Linear(4 * width, width)
        self.second = nn.LayerList([WindowBlock(width, heads, window, s) for s in shifts])
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, classes)

    def forward(self, images):
        x = self.patch_embed(images)
        grid, (count, channels) = x.shape[2:], x.shape[:2]
        x = x.flatten(2).transpose([0, 2, 1])
        for block in self.first:
            x = block(x, grid)
        down, across = grid[0] // 2, grid[1] // 2
        x = x.reshape([count, down, 2, across, 2, channels]).transpose([0, 1, 3, 2, 4, 5])
        x = self.merge(x.reshape([count, down * across, 4 * channels]))
        for block in self.second:
            x = block(x, (down, across))
        return self.head(self.norm(x).mean(axis=1))
