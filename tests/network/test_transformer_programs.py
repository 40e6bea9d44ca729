"""Gradients of transformers by one program: equal to those of Paddle's own layers."""

import numpy as np
import paddle
import pytest
from paddle import nn
from paddle.nn import functional
from program_checks import close, own_gradient, programs_of
from transformers import Encoder, Swin, Vit

import visualize_pd as vp
from visualize_pd.network.fast.whole import gradient


@pytest.fixture(autouse=True)
def always(monkeypatch):
    """Make a program at the first pass."""
    monkeypatch.setattr(gradient, "FIRST_PIXELS", 0)


def images_of(count, height=12, width=16):
    values = np.random.default_rng(count).standard_normal((count, 3, height, width), "float32")
    return paddle.to_tensor(values)


NETWORKS = {
    "class token": Vit,
    "mean token": lambda: Vit(extra=0),
    "two tokens and positions": lambda: Vit(extra=2, size=(12, 16)),
    "approximate GELU": lambda: Vit(act=lambda: nn.GELU(approximate=True)),
    "ReLU": lambda: Vit(act=nn.ReLU),
    "normalised afterwards": Encoder,
    "normalised before": lambda: Encoder(before=True),
    "shifted windows": Swin,
}


@pytest.mark.parametrize("kind", NETWORKS)
def test_programs_give_the_gradient_of_paddle(kind):
    paddle.seed(0)
    network = NETWORKS[kind]()
    network.eval()
    for count, targets in ((3, [0, 3, 1]), (1, 2), (3, 4)):
        images = images_of(count)
        close(vp.gradient(network, images, targets), own_gradient(network, images, targets))
    assert programs_of(network)


class ToTokens(nn.Layer):
    def forward(self, x):
        return x.transpose([0, 2, 3, 1])


class Masked(nn.Layer):
    """It adds a mask that its code writes part by part, as Swin does."""

    def forward(self, x):
        mask = paddle.zeros([1, 8, 8, 1])
        mask[:, :3, :, :] = 1.0
        mask[:, 2:, 5:, :] = -2.0
        return functional.gelu(x * mask)


class Rearranged(nn.Layer):
    """Its weights differ from place to place, so that a part in a wrong place shows."""

    def __init__(self, function):
        super().__init__()
        self.function = function
        self.register_buffer("weight", paddle.randn([1, 8, 8, 8]))

    def forward(self, x):
        return functional.gelu(self.function(x).reshape([-1, 8, 8, 8]) * self.weight)


def neighbours(x):
    parts = [x[:, down::2, across::2] for across in (0, 1) for down in (0, 1)]
    return paddle.concat(parts, axis=-1)


PARTS = {
    "mask": Masked,
    "roll": lambda: Rearranged(lambda x: paddle.roll(x, shifts=(-3, 2), axis=(1, 2))),
    "roll of one axis": lambda: Rearranged(lambda x: paddle.roll(x, 3, axis=1)),
    "strided slices, joined at a negative axis": lambda: Rearranged(neighbours),
    "split": lambda: Rearranged(lambda x: paddle.concat(paddle.split(x, [3, 5], 2)[::-1], axis=2)),
    "split at a negative axis": lambda: Rearranged(
        lambda x: paddle.concat(paddle.split(x, 2, -1)[::-1], axis=1)
    ),
    "mean": lambda: Rearranged(
        lambda x: paddle.concat([x.mean(axis=1, keepdim=True), x[:, 1:]], axis=1)
    ),
    "slices that overlap": lambda: Rearranged(
        lambda x: paddle.concat([x[:, 1:5] * 2, x[:, :4]], axis=1)
    ),
    "product of turned factors": lambda: Rearranged(
        lambda x: paddle.matmul(
            x, 0.1 * x.transpose([0, 1, 3, 2]), transpose_x=True, transpose_y=True
        )
    ),
}


@pytest.mark.parametrize("part", PARTS)
def test_parts_of_transformers(part):
    paddle.seed(0)
    network = nn.Sequential(
        nn.Conv2D(3, 8, 1), ToTokens(), PARTS[part](), nn.Flatten(), nn.Linear(512, 3)
    )
    network.eval()
    images = images_of(2, 8, 8)
    close(vp.gradient(network, images, [0, 2]), own_gradient(network, images, [0, 2]))
    assert programs_of(network)


def test_each_number_of_images_has_its_program_if_the_code_fixes_it():
    network = Vit()
    network.eval()
    for count in (1, 2, 3, 4, 5, 1):
        images = images_of(count)
        close(vp.gradient(network, images, 1), own_gradient(network, images, 1))
    assert len(programs_of(network)) == gradient.MOST_PROGRAMS
