"""Gradients of transformers by one program: equal to those of Paddle's own layers."""

import numpy as np
import paddle
import pytest
from paddle import nn
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
