"""The option `target_layer`: one layer, several layers, and layers that can give no CAM."""

import numpy as np
import paddle
import pytest
from cam_toys import (
    CAMS,
    ReluNetwork,
    divided_by_maximum,
    identity_conv,
    layer_cam_equation,
    nonnegative_images,
    resized,
)
from paddle import nn
from toys import Linear, close, images, weights

import visualize_pd
from visualize_pd import VisualizeError


class TwoLayers(nn.Layer):
    """`first` returns the image, `second` every second pixel of it. The score uses `second`."""

    def __init__(self, w):
        super().__init__()
        self.first, self.second = identity_conv(w.shape[1]), identity_conv(w.shape[1], stride=2)
        self.w = w

    def forward(self, batch):
        maps = self.second(self.first(batch))
        return paddle.einsum("nkhw,ckhw->nc", maps, paddle.to_tensor(self.w))


def test_one_layer_by_its_name():
    w, batch = weights(2, 3, 5), nonnegative_images(1, 3, 6, 10)
    for names in ("first", ["first"]):
        heat = visualize_pd.layer_cam(TwoLayers(w), paddle.to_tensor(batch), 0, target_layer=names)
        gradient = np.zeros(batch.shape[1:])
        gradient[:, ::2, ::2] = w[0]
        close(heat.numpy()[0, 0], layer_cam_equation(batch[0], gradient))


@pytest.mark.parametrize("names", [["first", "second"], ("second", "first")])
def test_several_layers_are_divided_by_their_maximum_and_averaged(names):
    w, batch = weights(2, 3, 5), nonnegative_images(2, 3, 6, 10)
    network = TwoLayers(w)
    heat = visualize_pd.layer_cam(network, paddle.to_tensor(batch), 1, target_layer=names).numpy()
    expected = []
    for image in batch:
        gradient = np.zeros(image.shape)
        gradient[:, ::2, ::2] = w[1]
        large = layer_cam_equation(image, gradient)
        small = resized(layer_cam_equation(image[:, ::2, ::2], w[1]), 6, 10)
        expected.append((divided_by_maximum(large) + divided_by_maximum(small)) / 2)
    close(heat, np.stack(expected)[:, None])


def test_two_names_of_the_same_output():
    network = TwoLayers(weights(2, 3, 5))
    network.second = nn.Sequential(network.second)  # `second` and `second.0` return the same maps
    batch = paddle.to_tensor(nonnegative_images(2, 3, 6, 10))
    once, twice = (
        visualize_pd.layer_cam(network, batch, 1, target_layer=names).numpy()
        for names in (["second"], ["second", "second.0"])
    )
    close(twice, once / once.max((1, 2, 3), keepdims=True))


@pytest.mark.parametrize("name", CAMS)
@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("cnov", "'cnov'.*'conv'"),
        (["conv", "rleu"], "'rleu'.*'relu'"),
        ("unused", "never calls.*'unused'"),
        ("flatten", "'flatten'.*feature maps"),
        ("pair", "'pair'.*feature maps"),
        ([], "no layer"),
    ],
)
def test_layer_without_feature_maps_is_named_in_the_error(name, layer, message):
    with pytest.raises(VisualizeError, match=message):
        CAMS[name](ReluNetwork(weights(3, 4, 6)), images(2, 4, 6), 0, target_layer=layer)


def test_layer_number_is_not_a_name():
    with pytest.raises(VisualizeError, match="layer '3'"):
        visualize_pd.grad_cam(ReluNetwork(weights(3, 4, 6)), images(2, 4, 6), 0, target_layer=3)


@pytest.mark.parametrize("method", [*CAMS.values(), visualize_pd.guided_grad_cam])
def test_network_without_feature_maps(method):
    with pytest.raises(VisualizeError, match="feature maps"):
        method(Linear(weights()), images(), 0)
