"""What a random layer holds, and which layers of a network are made random."""

import numpy as np
import paddle
import pytest
from convnet import convolutional
from paddle import nn
from random_layers import LAYERS

from visualize_pd import load_model
from visualize_pd.evaluate.sanity import parts_of, randomise


def test_random_weights_are_those_of_a_new_network():
    """A normal distribution with mean 0 and variance 2 / fan-in (He et al. 2015); biases are 0."""
    network = nn.Sequential(
        nn.Conv2D(16, 60, (3, 5)),
        nn.Conv2D(64, 64, 3, groups=4),
        nn.Conv2D(400, 400, 5, groups=400),
        nn.Linear(150, 90),
    )
    randomise(network, np.random.default_rng(0))
    for layer, inputs in zip(network, (16 * 15, 16 * 9, 25, 150)):
        values = layer.weight.numpy().ravel()
        size = np.sqrt(2 / inputs)
        assert abs(values.mean()) < 4 * size / np.sqrt(len(values))
        assert abs(values.std() / size - 1) < 4 / np.sqrt(2 * len(values))
        assert abs(np.mean(values**4) / size**4 - 3) < 0.35  # normal, not uniform
        assert not layer.bias.numpy().any()


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.BatchNorm2D(6),
        lambda: nn.BatchNorm1D(6),
        lambda: nn.BatchNorm(6),
        lambda: nn.LayerNorm(6),
        lambda: nn.GroupNorm(2, 6),
        lambda: nn.InstanceNorm2D(6),
    ],
    ids=["batch_2d", "batch_1d", "batch", "layer", "group", "instance"],
)
def test_normalisation_layers_become_new_ones(make):
    layer, new = make(), make()
    for value in layer.state_dict().values():
        value.set_value(np.full(value.shape, 0.3, dtype="float32"))
    randomise(layer, np.random.default_rng(0))
    for name, value in layer.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), new.state_dict()[name].numpy(), name)


class WithBuffers(nn.Layer):
    """A network with two buffers that are not learned."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)
        self.register_buffer("spread", paddle.full([1, 4, 1, 1], 0.5))
        self.register_buffer("order", paddle.to_tensor([[0, 1], [3, 2]]))


def test_buffers_that_are_not_learned_stay():
    network = WithBuffers()
    before = network.linear.weight.numpy().copy()
    randomise(network, np.random.default_rng(0))
    assert np.abs(network.linear.weight.numpy() - before).min() > 0
    assert network.order.numpy().tolist() == [[0, 1], [3, 2]]
    np.testing.assert_array_equal(network.spread.numpy(), np.full((1, 4, 1, 1), 0.5))


def test_layers_of_a_small_network():
    assert parts_of(convolutional()) == LAYERS


class Block(nn.Layer):
    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2D(3, 3, 1), nn.BatchNorm2D(3)


class Blocks(nn.Layer):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2D(3, 3, 1)
        self.drop = nn.Dropout()
        self.blocks = nn.LayerList([Block(), Block()])
        self.stages = nn.Sequential(nn.Sequential(Block(), nn.ReLU(), nn.Linear(2, 2)), Block())
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(3, 2))


def test_each_block_of_a_list_counts_as_one_layer():
    expected = ["stem", "blocks.0", "blocks.1", "stages.0.0", "stages.0.2", "stages.1", "head.1"]
    assert parts_of(Blocks()) == expected[::-1]


def test_layers_of_alexnet():
    """Five convolutions and three fully connected layers."""
    network = load_model("alexnet", weights="random").network
    layers, found = dict(network.named_sublayers()), parts_of(network)
    assert [type(layers[name]) for name in found] == [nn.Linear] * 3 + [nn.Conv2D] * 5
    assert [name.rpartition(".")[0] for name in found] == ["classifier"] * 3 + ["features"] * 5
    places = [int(name.rpartition(".")[2]) for name in found]
    assert places == sorted(places[:3])[::-1] + sorted(places[3:])[::-1]
    assert layers[found[0]].weight.shape[1] == 1000 and layers[found[-1]].weight.shape[1] == 3


def test_layers_of_efficientnet():
    """The classifier, 16 blocks, and the head's and the stem's convolution and normalisation."""
    network = load_model("efficientnet_lite0", weights="random").network
    blocks = [f"_blocks.{number}" for number in range(15, -1, -1)]
    assert parts_of(network) == ["_fc", "_bn1", "_conv_head", *blocks, "_bn0", "_conv_stem"]


@pytest.mark.parametrize("make", [convolutional, Blocks])
def test_layers_hold_every_parameter_once(make):
    network = make()
    layers = dict(network.named_sublayers())
    held = [id(p) for name in parts_of(network) for p in layers[name].parameters()]
    assert sorted(held) == sorted(id(p) for p in network.parameters())
