"""RefineCAM is the product of Layer-CAM's maps of several layers, each divided by its maximum."""

import numpy as np
import paddle
import pytest
from cam_toys import divided_by_maximum, identity_conv, layer_cam_equation, resized
from paddle import nn
from toys import close
from transformers import Vit

from visualize_pd import VisualizeError, grad_cam, layer_cam, refine_cam

RANDOM = np.random.default_rng(4)
W = RANDOM.standard_normal((2, 3, 2, 3)).astype("float32")
MIX = RANDOM.random((3, 3)).astype("float32")
IMAGES = RANDOM.random((2, 3, 8, 12)).astype("float32")


class Halved(nn.Layer):
    """Convolutions that keep every pixel, every second and every fourth. S_c = Σ w_c · A²/2.

    The second one mixes the channels, so the first one is not the last of its size. A larger map
    has the gradient w_c · A where a pixel is kept, and 0 elsewhere.
    """

    def __init__(self):
        super().__init__()
        self.convs = nn.LayerList([identity_conv(3, stride) for stride in (1, 1, 2, 2)])
        self.convs[1].weight.set_value(MIX[:, :, None, None])
        self.unused = nn.Conv2D(3, 3, 1, stride=3)

    def forward(self, batch):
        for conv in self.convs:
            batch = conv(batch)
        self.unused(batch)  # it comes last of all, and the score does not depend on it
        return paddle.einsum("nkhw,ckhw->nc", batch * batch, paddle.to_tensor(W)) / 2


def equation(image, target, strides, power):
    image = np.einsum("jk,khw->jhw", MIX, image)
    product = 1.0
    for stride in strides:
        gradient = np.zeros_like(image)
        gradient[:, ::4, ::4] = W[target] * image[:, ::4, ::4]
        a, g = (values[:, ::stride, ::stride] for values in (image, gradient))
        product = product * divided_by_maximum(resized(layer_cam_equation(a, g), 8, 12))
    return product**power


@pytest.mark.parametrize(
    ("options", "strides", "power"),
    [
        ({}, [4, 2, 1], 0.5),
        ({"levels": 2}, [4, 2], 0.5),
        ({"levels": 1}, [4], 0.5),
        ({"levels": 9, "power": 1}, [4, 2, 1], 1),
        ({"levels": 2, "power": 0.25}, [4, 2], 0.25),
        ({"target_layer": ["convs.3", "convs.1"]}, [4, 1], 0.5),
        ({"target_layer": "convs.2", "power": 1}, [2], 1),
    ],
    ids=str,
)
def test_map_follows_the_equation(options, strides, power):
    maps = refine_cam(Halved(), paddle.to_tensor(IMAGES), [1, 0], **options).numpy()
    expected = [equation(image, c, strides, power) for image, c in zip(IMAGES, [1, 0])]
    close(maps, np.stack(expected)[:, None])


def test_one_level_is_layer_cam():
    batch = paddle.to_tensor(IMAGES)
    expected = layer_cam(Halved(), batch, 1).numpy()
    expected = expected / expected.max(axis=(1, 2, 3), keepdims=True)
    close(refine_cam(Halved(), batch, 1, levels=1, power=1).numpy(), expected)


def test_it_is_sharper_than_grad_cam():
    """An object of one bright pixel of 64: only the maps of the first layer can say which one."""

    def convolution(stride):
        conv = nn.Conv2D(1, 1, stride, stride=stride, bias_attr=False)
        conv.weight.set_value(np.ones((1, 1, stride, stride), dtype="float32"))
        return conv

    image = np.zeros((1, 1, 32, 32), dtype="float32")
    image[0, 0, 13, 21] = 1
    network = nn.Sequential(
        *(convolution(stride) for stride in (1, 2, 4)), nn.ReLU(), nn.AdaptiveAvgPool2D(1)
    )
    network = nn.Sequential(network, nn.Flatten())
    sharp, coarse = (
        method(network, paddle.to_tensor(image), 0).numpy()[0, 0]
        for method in (refine_cam, grad_cam)
    )
    assert np.unravel_index(sharp.argmax(), sharp.shape) == (13, 21)
    assert (sharp > 0).sum() == 1 and (coarse > coarse.max() / 2).sum() > 32


def test_tokens_are_refused_unless_layers_are_named():
    paddle.seed(1)
    network, batch = Vit(size=(12, 8)), paddle.randn([2, 3, 12, 8])
    with pytest.raises(VisualizeError, match="tokens of this network are of one size; name"):
        refine_cam(network, batch, 1)
    names = ["blocks.0", "blocks.1.norm1"]
    maps = refine_cam(network, batch, 1, target_layer=names, power=1).numpy()
    each = [layer_cam(network, batch, 1, target_layer=name).numpy() for name in names]
    product = np.prod([one / one.max(axis=(1, 2, 3), keepdims=True) for one in each], axis=0)
    close(maps, product)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"levels": 0}, "levels"),
        ({"levels": True}, "levels"),
        ({"power": 0}, "power"),
        ({"power": 1.5}, "power"),
        ({"power": "2"}, "power"),
        ({"target_layer": "conv.2"}, "no layer 'conv.2'"),
    ],
    ids=str,
)
def test_wrong_options(options, message):
    with pytest.raises(VisualizeError, match=message):
        refine_cam(Halved(), paddle.to_tensor(IMAGES), 1, **options)
