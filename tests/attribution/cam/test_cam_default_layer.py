"""By default a CAM uses the last convolutional feature maps that the score depends on."""

import numpy as np
import paddle
import pytest
from cam_toys import CAMS
from paddle import nn
from paddle.nn import functional
from toys import close, images

import visualize_pd
from visualize_pd.network.gradients import record_forward
from visualize_pd.network.layers.feature_maps import default_feature_maps


def network_with_relus(relu):
    """conv → relu[0] → conv → relu[1] → pooling → linear → relu[2] → linear.

    With `[relu] * 3` one layer runs before its last feature maps, on them, and after them.
    """
    paddle.seed(2)
    convs, pool = [nn.Conv2D(3, 4, 3), nn.Conv2D(4, 4, 1)], nn.AdaptiveAvgPool2D(1)
    first, last = nn.Linear(4, 4), nn.Linear(4, 3)
    maps = [convs[0], relu[0], convs[1], relu[1]]
    return nn.Sequential(*maps, pool, nn.Flatten(), first, relu[2], last)


@pytest.mark.parametrize("name", CAMS)
def test_layer_that_runs_again_after_its_feature_maps(name):
    relu, batch = nn.ReLU(), images(2, 9, 7)
    expected = CAMS[name](network_with_relus([nn.ReLU() for _ in range(3)]), batch, 1).numpy()
    close(CAMS[name](network_with_relus([relu] * 3), batch, 1).numpy(), expected, 1e-6)


class Auxiliary(nn.Layer):
    """Its auxiliary head runs last, and has a convolution with maps as large as the main ones."""

    def __init__(self, relu=None, with_head=True):
        super().__init__()
        paddle.seed(4)
        self.conv, self.relu, self.fc = nn.Conv2D(3, 4, 3), nn.ReLU(), nn.Linear(4, 3)
        self.conv2, self.fc2 = nn.Conv2D(4, 4, 1), nn.Linear(4, 3)
        self.relu2 = nn.ReLU() if relu is None else self.relu
        self.with_head = with_head

    def forward(self, batch):
        maps = self.relu(self.conv(batch))
        logits = self.fc(maps.mean([2, 3]))
        if not self.with_head:
            return logits
        return logits, self.fc2(self.relu2(self.conv2(maps)).mean([2, 3]))


@pytest.mark.parametrize("name", CAMS)
@pytest.mark.parametrize("relu", [None, "shared"])
def test_auxiliary_head_does_not_change_the_map(name, relu):
    batch = images(2, 9, 7)
    expected = CAMS[name](Auxiliary(with_head=False), batch, 1).numpy()
    close(CAMS[name](Auxiliary(relu), batch, 1).numpy(), expected, 1e-6)


class Block(nn.Layer):
    """A residual block. Its sum and its ReLU are functions, not layers."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2D(4, 4, 3, padding=1)

    def forward(self, maps):
        return functional.relu(self.conv(maps) + maps)


class Excitation(nn.Layer):
    """Squeeze and excitation. Its convolutions see maps of 1 × 1 pixels, and run last."""

    def __init__(self):
        super().__init__()
        self.down, self.up = nn.Conv2D(4, 2, 1), nn.Conv2D(2, 4, 1)
        self.pool, self.relu, self.gate = nn.AdaptiveAvgPool2D(1), nn.ReLU(), nn.Sigmoid()

    def forward(self, maps):
        return maps * self.gate(self.up(self.relu(self.down(self.pool(maps)))))


class Dense(nn.Layer):
    """Concatenates maps as DenseNet does, with batch norm, ReLU and classifier after it."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2D(4, 2, 3, padding=1), nn.BatchNorm2D(6)
        self.relu, self.fc = nn.ReLU(), nn.Linear(6, 3)

    def forward(self, maps):
        maps = paddle.concat([maps, self.conv(maps)], axis=1)
        return self.fc(self.relu(self.norm(maps)).mean([2, 3]))


class Functional(nn.Layer):
    """A convolution that is a function, not a layer of type Conv2D."""

    def __init__(self):
        super().__init__()
        self.weight = self.create_parameter([4, 3, 3, 3])

    def forward(self, batch):
        return functional.conv2d(batch, self.weight)


def default_networks():
    """Networks for images of 9 × 7, the name of their default layer, and its shape [C, h, w]."""
    conv, relu = nn.Conv2D(3, 4, 3), nn.ReLU()
    head = [nn.AdaptiveAvgPool2D(1), nn.Flatten(), nn.Linear(4, 3)]
    pooled = [nn.MaxPool2D(2), nn.Flatten(), nn.Linear(4 * 3 * 2, 3)]
    classes = nn.Conv2D(4, 3, 1)
    return {
        "pooling": (nn.Sequential(conv, relu, *pooled), "1", [4, 7, 5]),
        "norm": (nn.Sequential(conv, nn.BatchNorm2D(4), *head), "1", [4, 7, 5]),
        "two convolutions": (nn.Sequential(conv, relu, nn.Conv2D(4, 4, 3), *head), "2", [4, 5, 3]),
        "shortcut": (nn.Sequential(conv, Block(), *head), "1", [4, 7, 5]),
        "reused": (nn.Sequential(conv, relu, nn.Conv2D(4, 4, 2), relu, *head), "1", [4, 6, 4]),
        "reused in the classifier": (network_with_relus([relu] * 3), "1", [4, 7, 5]),
        "auxiliary": (Auxiliary(), "relu", [4, 7, 5]),
        "excitation": (nn.Sequential(conv, Excitation(), *head), "1", [4, 7, 5]),
        "dense": (nn.Sequential(conv, Dense()), "1.relu", [6, 7, 5]),
        "convolutional": (nn.Sequential(conv, relu, classes, head[0], head[1]), "2", [3, 7, 5]),
        "class convolution after the pooling": (
            nn.Sequential(conv, relu, head[0], classes, head[1]),
            "1",
            [4, 7, 5],
        ),
        "upsampled": (
            nn.Sequential(conv, relu, nn.Upsample(scale_factor=2), *head),
            "1",
            [4, 7, 5],
        ),
        "functional": (nn.Sequential(Functional(), relu, *head), "1", [4, 7, 5]),
        "nested": (nn.Sequential(nn.Sequential(conv, relu), *head), "0", [4, 7, 5]),
        "maps of one pixel": (
            nn.Sequential(nn.Conv2D(3, 4, [9, 7]), relu, head[1], head[2]),
            "1",
            [4, 1, 1],
        ),
    }


def chosen_layer(network, batch):
    passed = record_forward(network, batch, layers=network.sublayers())
    found = default_feature_maps(network, passed)
    layer, maps, gradient = found.layer, found.maps, found.slope
    assert gradient.shape == maps.shape
    return next(name for name, known in network.named_sublayers() if known is layer), maps


@pytest.mark.parametrize("kind", default_networks())
def test_default_layer_returns_the_last_convolutional_maps(kind):
    network, name, shape = default_networks()[kind]
    found, maps = chosen_layer(network, images(2, 9, 7))
    assert (found, list(maps.shape[1:])) == (name, shape)


class WithUnusedConvolution(nn.Layer):
    """Two convolutions in a row, then one that the score does not use.

    The unused one has maps as large as those of the first. `used=False`: the score uses no
    convolution at all.
    """

    def __init__(self, used=True):
        super().__init__()
        self.first = nn.Conv2D(3, 4, 3, padding=1)
        self.second = nn.Conv2D(4, 4, 3, stride=2, padding=1)
        self.unused, self.last = nn.Conv2D(3, 4, 3, padding=1), nn.ReLU()
        self.used = used

    def forward(self, images):
        maps = self.second(self.first(images))
        self.last(self.unused(images))
        return (maps if self.used else images).mean([2, 3])


def test_unused_convolution_is_skipped():
    name, maps = chosen_layer(WithUnusedConvolution(), paddle.randn([2, 3, 8, 8]))
    assert (name, maps.shape) == ("second", [2, 4, 4, 4])


def test_gradient_is_zero_if_the_score_uses_no_feature_maps():
    network, batch = WithUnusedConvolution(used=False), paddle.randn([2, 3, 8, 8])
    passed = record_forward(network, batch, layers=network.sublayers())
    found = default_feature_maps(network, passed)
    layer, maps, gradient = found.layer, found.maps, found.slope
    assert layer is network.last and maps.shape == gradient.shape == [2, 4, 8, 8]
    assert float(gradient.abs().max()) == 0
    assert float(CAMS["grad_cam"](network, batch, 1).max()) == 0


def test_reused_layer_gives_the_maps_of_its_call_after_the_last_convolution():
    network = network_with_relus([nn.ReLU()] * 3)
    batch = images(1, 9, 7)
    network.eval()
    expected = network[:4](batch).numpy()
    np.testing.assert_array_equal(chosen_layer(network, batch)[1].numpy(), expected)


@pytest.mark.parametrize(
    ("name", "layer", "shape"),
    [
        ("alexnet", "_conv5.relu", [256, 13, 13]),
        ("resnet18", "layer4", [512, 7, 7]),
        ("googlenet", "_ince5b", [1024, 6, 6]),
        ("mobilenet_v3_small", "lastconv", [576, 7, 7]),
        ("shufflenet_v2_x0_25", "_last_conv", [512, 7, 7]),
    ],
)
def test_default_layer_of_known_networks(name, layer, shape):
    paddle.seed(1)
    network, batch = getattr(paddle.vision.models, name)(), images(1, 224, 224)
    network.eval()
    found, maps = chosen_layer(network, batch)
    assert (found, list(maps.shape[1:])) == (layer, shape)
    heat = visualize_pd.grad_cam_pp(network, batch).numpy()
    assert heat.shape == (1, 1, 224, 224) and np.isfinite(heat).all() and heat.max() > 0
