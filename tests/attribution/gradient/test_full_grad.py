"""FullGrad: all parts sum to the score, and its map follows the equation of the paper."""

import logging

import numpy as np
import paddle
import pytest
from convnet import convolutional
from paddle import nn
from paddle.nn import functional
from toys import close, images

from visualize_pd import VisualizeError, full_grad


def with_statistics(network):
    """BatchNorms with a mean, a variance, a weight and a bias that are not those of the start."""
    random = np.random.default_rng(3)
    for layer in network.sublayers():
        if hasattr(layer, "_variance"):
            size = layer._mean.shape
            for tensor, values in (
                (layer._mean, random.standard_normal(size)),
                (layer._variance, random.random(size) + 0.5),
                (layer.weight, random.standard_normal(size)),
                (layer.bias, random.standard_normal(size)),
            ):
                if tensor is not None:
                    tensor.set_value(values.astype("float32"))
    return network


class Branches(nn.Layer):
    """A residual sum, a ReLU6 that is reached, a layer that is called twice, and `act` in a norm.

    `norm` has its ReLU inside, as in networks of `paddle.vision.models`. `plain` has no weight.
    """

    def __init__(self):
        super().__init__()
        paddle.seed(5)
        self.first, self.again = nn.Conv2D(3, 4, 3, padding=1), nn.Conv2D(4, 4, 3, padding=1)
        self.norm, self.plain = nn.BatchNorm(4, act="relu"), nn.BatchNorm2D(4, weight_attr=False)
        self.relu6, self.pool = nn.ReLU6(), nn.MaxPool2D(2)
        self.head = nn.Linear(4, 3)

    def forward(self, batch):
        x = self.norm(self.first(batch))
        x = functional.relu(self.again(x)) + x
        x = self.relu6(5 * self.plain(self.again(x)))
        return self.head(self.pool(x).mean(axis=[2, 3]))


@pytest.mark.parametrize("make", [convolutional, Branches])
@pytest.mark.usefixtures("fast_and_plain")
def test_all_parts_sum_to_the_score(make):
    network, batch = with_statistics(make()), 3 * images(3, 14, 11)
    network.eval()
    scores = network(batch).numpy()[[0, 1, 2], [2, 0, 1]]
    _, gap = full_grad(network, batch, [2, 0, 1], return_gap=True)
    assert np.abs(scores).min() > 0.1
    assert np.abs(gap.numpy()).max() < 1e-5 * np.abs(scores).max()


def test_relu6_counts_where_it_is_reached():
    network, batch = with_statistics(Branches()), 3 * images(3, 14, 11)
    outputs = []
    network.relu6.register_forward_post_hook(lambda _, __, out: outputs.append(out.numpy()))
    full_grad(network, batch, 0)
    assert 0.05 < (outputs[0] == 6).mean() < 0.95


class Explicit(nn.Layer):
    """conv → ReLU → conv with stride 2 → ReLU → mean → linear, with each bias a map of its own."""

    def __init__(self):
        super().__init__()
        paddle.seed(2)
        self.convs = nn.LayerList([nn.Conv2D(3, 4, 3, padding=1), nn.Conv2D(4, 5, 3, stride=2)])
        self.head = nn.Linear(5, 3)
        for conv in self.convs:
            conv.bias.set_value(
                np.random.default_rng(1).standard_normal(conv.bias.shape).astype("float32")
            )

    def forward(self, batch):
        for conv in self.convs:
            batch = functional.relu(conv(batch))
        return self.head(batch.mean(axis=[2, 3]))

    def parts(self, image, target):
        """I · ∂S/∂I, and b · ∂S/∂b of a bias that may differ from place to place."""
        x = leaf = image.clone()
        leaf.stop_gradient = False
        leaves = [leaf]
        for conv, stride, padding in zip(self.convs, (1, 2), (1, 0)):
            x = functional.conv2d(x, conv.weight, stride=stride, padding=padding)
            bias = conv.bias.reshape([1, -1, 1, 1]).expand(x.shape).detach()
            bias.stop_gradient = False
            leaves.append(bias)
            x = functional.relu(x + bias)
        score = self.head(x.mean(axis=[2, 3]))[0, target]
        return [(a * g).numpy()[0] for a, g in zip(leaves, paddle.grad(score, leaves))]


def enlarged(maps):
    small = paddle.to_tensor(maps[None])
    return functional.interpolate(small, size=[9, 11], mode="bilinear").numpy()[0]


PSI = {
    "rescaled": lambda part: (abs(part) - abs(part).min()) / (abs(part).max() - abs(part).min()),
    "absolute": lambda part: abs(part) * part[0].size / 99,
    "signed": lambda part: part * part[0].size / 99,
}


@pytest.mark.parametrize("post_processing", PSI)
def test_map_follows_the_equation(post_processing):
    network, batch = Explicit(), images(2, 9, 11)
    maps = full_grad(network, batch, [1, 2], post_processing=post_processing).numpy()
    for n, target in enumerate([1, 2]):
        parts = network.parts(batch[n : n + 1], target)
        expected = sum(enlarged(PSI[post_processing](part)).sum(0) for part in parts)
        close(maps[n, 0], expected, 2e-5)


def test_two_pixels_by_hand():
    """S = 3 Σ ReLU(2x + 1) + 5 at x = (2, −1): the second pixel is closed.

    The image gives 3 · 2 · 2 = 12, the bias of the convolution 3 · 1, and the last bias 5.
    """
    conv, head = nn.Conv2D(1, 1, 1), nn.Linear(1, 1)
    for tensor, value in ((conv.weight, 2), (conv.bias, 1), (head.weight, 6), (head.bias, 5)):
        tensor.set_value(np.full(tensor.shape, value, dtype="float32"))
    network = nn.Sequential(conv, nn.ReLU(), nn.AdaptiveAvgPool2D(1), nn.Flatten(), head)
    image = paddle.to_tensor([2.0, -1.0]).reshape([1, 1, 1, 2])
    maps, gap = full_grad(network, image, 0, post_processing="signed", return_gap=True)
    np.testing.assert_allclose(maps.numpy().ravel(), [15, 0], rtol=1e-6)
    np.testing.assert_allclose(gap.numpy(), [0], atol=1e-5)


class ChannelsLast(nn.Layer):
    """A linear layer over the last axis, whose bias has a place in the image."""

    def __init__(self):
        super().__init__()
        paddle.seed(4)
        self.conv, self.mix = nn.Conv2D(3, 4, 1), nn.Linear(4, 2)
        self.mix.bias.set_value(np.float32([3, -2]))

    def forward(self, batch):
        return self.mix(self.conv(batch).transpose([0, 2, 3, 1])).mean(axis=[1, 2])


def test_a_signed_map_of_a_linear_network_sums_to_the_score():
    network, batch = ChannelsLast(), images(2, 6, 5)
    maps = full_grad(network, batch, 0, post_processing="signed").numpy()
    close(maps.sum((1, 2, 3)), network(batch).numpy()[:, 0])
    assert maps.std() > 0


def test_each_part_is_stretched_from_its_lowest_value():
    """Every bias of a linear network has one value b · w at all places, and none of them is 0."""
    network, batch = ChannelsLast(), images(1, 6, 5)
    biases = np.float32([1, -2, 4, 3])
    network.conv.bias.set_value(biases)
    mix = network.mix.weight.numpy()[:, 0]
    share = np.abs(biases * mix)
    slope = np.einsum("kc,k->c", network.conv.weight.numpy()[:, :, 0, 0], mix)
    part = np.abs(batch.numpy()[0] * slope[:, None, None])
    expected = ((part - part.min()) / (part.max() - part.min())).sum(0)
    expected += ((share - share.min()) / (share.max() - share.min())).sum()
    expected += 1  # the biases of `mix`: one of the class, and 0 of the other
    close(full_grad(network, batch, 0).numpy()[0, 0], expected)


def test_the_gap_of_a_sigmoid_is_reported(caplog, monkeypatch):
    """S = σ(z) with z linear in the image: the parts sum to z · σ′(z)."""
    monkeypatch.setattr(logging.getLogger("visualize_pd"), "propagate", True)
    network, batch = nn.Sequential(nn.Flatten(), nn.Linear(12, 2), nn.Sigmoid()), images(2, 2, 2)
    sigma = network(batch).numpy()[:, 1].astype("float64")
    z = np.log(sigma / (1 - sigma))
    _, gap = full_grad(network, batch, 1, return_gap=True)
    np.testing.assert_allclose(gap.numpy(), z * sigma * (1 - sigma) - sigma, rtol=1e-4)
    assert "full gradient: completeness gap" in caplog.text and "than ReLU" in caplog.text


def test_unknown_post_processing():
    with pytest.raises(VisualizeError, match="rescaled, absolute, signed"):
        full_grad(Explicit(), images(1, 9, 11), 0, post_processing="squared")
