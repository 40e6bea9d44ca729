"""The gradient of one filter's sum, worked out by hand on two small convolutions."""

import numpy as np
import paddle
import pytest
from paddle import nn

from visualize_pd import VisualizeError, activation_gradient

# Two filters of 2 × 2 over images of 2 × 3, so two places each; then three filters of 1 × 1.
K0, K1 = [[1, -1], [0, 2]], [[0, 1], [1, 0]]
MIX = [[1, -2], [-1, 1], [2, 0.5]]
# First image: filter 0 gives 1 and −1 (shut), filter 1 gives 2 and 6.
# After the ReLU: (1, 0) and (2, 6). The mixed: (−3, −12), (1, 6), (3, 3): filter 1 wins by 7 to 6.
# Second image: (6, 3) and (1, 2). The mixed: (4, −1), (−5, −1), (12.5, 7): filter 2.
IMAGES = [[[1, 2, 5], [0, 1, 1]], [[3, 1, 0], [0, 2, 1]]]


class Unused(nn.Sequential):
    """A network with a layer that it never calls."""

    def __init__(self, *layers):
        super().__init__(*layers)
        self.spare = nn.Conv2D(1, 1, 1)

    def forward(self, x):
        for layer in list(self)[:7]:
            x = layer(x)
        return x


def small(activation=nn.ReLU, kind=nn.Sequential):
    first = nn.Conv2D(1, 2, 2, bias_attr=False)
    first.weight.set_value(np.float32([[K0], [K1]]))
    second = nn.Conv2D(2, 3, 1, bias_attr=False)
    second.weight.set_value(np.float32(MIX)[:, :, None, None])
    last = nn.Linear(3, 2)
    return kind(
        *(first, activation(), second, activation(), nn.AdaptiveAvgPool2D(1), nn.Flatten(), last)
    )


def batch(count=2):
    return paddle.to_tensor(np.float32(IMAGES)[:count, None])


def maps_of(network=None, **options):
    """Of the first image."""
    return activation_gradient(network or small(), batch(1), **options).numpy()[0, 0]


@pytest.mark.parametrize("guided", [False, True])
@pytest.mark.parametrize(
    ("filter", "expected"),
    [
        (0, [[1, -1 + 1, -1], [0, 2 + 0, 2]]),  # K0 at both places
        (1, [[0, 1 + 0, 1], [1, 0 + 1, 0]]),  # K1 at both places
    ],
)
def test_filter_of_the_first_convolution(filter, expected, guided):
    maps = maps_of(layer="0", filter=filter, guided=guided)
    np.testing.assert_array_equal(maps, expected)


@pytest.mark.parametrize("guided", [False, True])
def test_filter_after_its_relu(guided):
    """The second place is shut for filter 0: what is left is K0 at the first."""
    maps = maps_of(layer="1", filter=0, guided=guided)
    np.testing.assert_array_equal(maps, [[1, -1, 0], [0, 2, 0]])


@pytest.mark.parametrize(
    ("filter", "guided", "expected"),
    [
        # K0 − 2 K1 = [[1, −3], [−2, 2]] at the first place, −2 K1 at the second.
        (0, False, [[1, -3 + 0, -2], [-2, 2 - 2, 0]]),
        (0, True, [[1, -1, 0], [0, 2, 0]]),  # −2 does not come back
        # −K0 + K1 = [[−1, 2], [1, −2]], then K1.
        (1, False, [[-1, 2 + 0, 1], [1, -2 + 1, 0]]),
        (1, True, [[0, 1 + 0, 1], [1, 0 + 1, 0]]),
        # 2 K0 + ½ K1 = [[2, −1.5], [0.5, 4]], then ½ K1.
        (2, False, [[2, -1.5 + 0, 0.5], [0.5, 4 + 0.5, 0]]),
        (2, True, [[2, -1.5 + 0, 0.5], [0.5, 4 + 0.5, 0]]),
    ],
)
def test_filter_of_the_second_convolution(filter, guided, expected):
    maps = maps_of(layer="2", filter=filter, guided=guided)
    np.testing.assert_array_equal(maps, expected)


def test_guided_unless_told_otherwise():
    np.testing.assert_array_equal(maps_of(layer="2", filter=0), [[1, -1, 0], [0, 2, 0]])


# Filter 1 for the first image, as above; filter 2 for the second, (2, ½) at both of its places.
MOST_EXCITED = {
    False: [[[-1, 2, 1], [1, -1, 0]], [[2, -1.5 + 2, -1.5], [0.5, 4 + 0.5, 4]]],
    True: [[[0, 1, 1], [1, 1, 0]], [[2, -1.5 + 2, -1.5], [0.5, 4 + 0.5, 4]]],
}


@pytest.mark.parametrize("guided", [False, True])
@pytest.mark.parametrize("layer", ["2", "3", None])
def test_most_excited_filter_of_each_image(layer, guided):
    """By its sum, sign and all: the first image's filter 0 has −15 before the ReLU."""
    maps = activation_gradient(small(), batch(), layer=layer, guided=guided).numpy()
    np.testing.assert_array_equal(maps[:, 0], MOST_EXCITED[guided])


def test_one_filter_for_all_images():
    together = activation_gradient(small(), batch(), layer="2", filter=2, guided=False).numpy()
    expected = [[[2, -1.5, 0.5], [0.5, 4.5, 0]], MOST_EXCITED[False][1]]
    np.testing.assert_array_equal(together[:, 0], expected)


def test_last_feature_maps_by_default():
    """After their activation: filter 0 is shut there, and open before it."""
    assert not maps_of(filter=0).any()
    assert not maps_of(layer="3", filter=0).any()
    assert maps_of(layer="2", filter=0).any()


def test_last_feature_maps_without_an_activation():
    network = small()
    network[3] = nn.Identity()
    np.testing.assert_array_equal(maps_of(network, filter=0), [[1, -1, 0], [0, 2, 0]])


@pytest.mark.parametrize("targets", [None, 0, 1])
def test_targets_play_no_part(targets):
    maps = activation_gradient(small(), batch(), targets, guided=False).numpy()
    np.testing.assert_array_equal(maps[:, 0], MOST_EXCITED[False])


@pytest.mark.parametrize(
    ("sign", "expected"),
    [
        ("signed", [[-1, 2, 1], [1, -1, 0]]),
        ("absolute", [[1, 2, 1], [1, 1, 0]]),
        ("positive", [[0, 2, 1], [1, 0, 0]]),
        ("negative", [[1, 0, 0], [0, 1, 0]]),
    ],
)
def test_sign(sign, expected):
    np.testing.assert_array_equal(maps_of(filter=1, guided=False, sign=sign), expected)


def test_channels():
    """The image's own channels: the first two of three are read, with weights 2 and −3."""
    network = nn.Sequential(nn.Conv2D(3, 1, 1), nn.AdaptiveAvgPool2D(1), nn.Flatten())
    network[0].weight.set_value(np.float32([2, -3, 0]).reshape(1, 3, 1, 1))
    image = paddle.ones([1, 3, 2, 2])
    for channel, expected in (("none", [2, -3, 0]), ("sum", [-1]), ("max", [2])):
        maps = activation_gradient(network, image, channel=channel).numpy()
        np.testing.assert_array_equal(maps[0, :, 1, 0], expected)


def test_layer_called_twice_counts_by_its_last_call():
    """x → 3 x → 9 x: the sum of the second call changes by 9, not by 3."""
    layer = nn.Conv2D(1, 1, 1, bias_attr=False)
    layer.weight.set_value(np.float32([[[[3]]]]))
    network = nn.Sequential(layer, nn.Sequential(layer), nn.Flatten())
    maps = activation_gradient(network, paddle.ones([1, 1, 2, 2]), layer="0").numpy()
    np.testing.assert_array_equal(maps, np.full([1, 1, 2, 2], 9))


def test_layer_within_a_layer():
    network = nn.Sequential(nn.Sequential(*small()[:4]), *small()[4:])
    np.testing.assert_array_equal(maps_of(network, layer="0.2", filter=0), [[1, -1, 0], [0, 2, 0]])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layer": "2", "filter": 3}, "filter 3.* 3"),
        ({"filter": 3}, "filter 3"),
        ({"layer": "0", "filter": 2}, "filter 2.* 2"),
        ({"filter": -1}, "filter"),
        ({"filter": True}, "filter"),
        ({"filter": 1.0}, "filter"),
        ({"filter": "1"}, "filter"),
        ({"layer": "7"}, "no layer '7'"),
        ({"layer": ""}, "no layer"),
        ({"layer": 2}, "no layer '2'"),
        ({"layer": "5"}, r"layer '5' returns .*\[2, 3\]"),
        ({"layer": "6"}, r"layer '6' returns .*\[2, 2\]"),
        ({"channel": "mean"}, "'mean'"),
        ({"sign": "minus"}, "'minus'"),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(VisualizeError, match=message):
        activation_gradient(small(), batch(), **options)


def test_layer_that_is_never_called():
    with pytest.raises(VisualizeError, match="never calls its layer 'spare'"):
        activation_gradient(small(kind=Unused), batch(), layer="spare")


def test_relu_in_place_before_the_layer():
    network = small()
    network[1].forward = nn.functional.relu_
    with pytest.raises(VisualizeError, match="in place"):
        activation_gradient(network, batch(), layer="2", filter=0)
    np.testing.assert_array_equal(
        maps_of(network, layer="2", filter=0, guided=False), [[1, -3, -2], [-2, 0, 0]]
    )
