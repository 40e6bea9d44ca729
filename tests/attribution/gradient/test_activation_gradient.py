"""The gradient of one filter's activation, computed by hand for two small convolutions."""

import numpy as np
import paddle
import pytest
from paddle import nn

from visualize_pd import VisualizeError, activation_gradient

# The first convolution has two filters K0, K1 of 2 × 2. On images of 2 × 3 its maps have two
# pixels. The second convolution has three filters of 1 × 1, the rows of MIX.
K0, K1 = [[1, -1], [0, 2]], [[0, 1], [1, 0]]
MIX = [[1, -2], [-1, 1], [2, 0.5]]
# First image: the first convolution gives (1, −1) and (2, 6), after its ReLU (1, 0) and (2, 6).
# The second gives (−3, −12), (1, 6) and (3, 3). Filter 1 has the largest sum, 7.
# Second image: the first convolution gives (6, 3) and (1, 2), which the ReLU does not change.
# The second gives (4, −1), (−5, −1) and (12.5, 7). Filter 2 has the largest sum.
IMAGES = [[[1, 2, 5], [0, 1, 1]], [[3, 1, 0], [0, 2, 1]]]


class WithUnusedLayer(nn.Sequential):
    """A network with a layer that it never calls."""

    def __init__(self, *layers):
        super().__init__(*layers)
        self.unused = nn.Conv2D(1, 1, 1)

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
    """The map of the first image."""
    return activation_gradient(network or small(), batch(1), **options).numpy()[0, 0]


@pytest.mark.parametrize("guided", [False, True])
@pytest.mark.parametrize(
    ("filter", "expected"),
    [
        (0, [[1, -1 + 1, -1], [0, 2 + 0, 2]]),  # K0 at both pixels
        (1, [[0, 1 + 0, 1], [1, 0 + 1, 0]]),  # K1 at both pixels
    ],
)
def test_filter_of_the_first_convolution(filter, expected, guided):
    maps = maps_of(layer="0", filter=filter, guided=guided)
    np.testing.assert_array_equal(maps, expected)


@pytest.mark.parametrize("guided", [False, True])
def test_filter_after_its_relu(guided):
    """The ReLU of filter 0 is closed at the second pixel. K0 at the first pixel remains."""
    maps = maps_of(layer="1", filter=0, guided=guided)
    np.testing.assert_array_equal(maps, [[1, -1, 0], [0, 2, 0]])


@pytest.mark.parametrize(
    ("filter", "guided", "expected"),
    [
        # K0 − 2 K1 = [[1, −3], [−2, 2]] at the first pixel, −2 K1 at the second.
        (0, False, [[1, -3 + 0, -2], [-2, 2 - 2, 0]]),
        (0, True, [[1, -1, 0], [0, 2, 0]]),  # guided: the negative gradient −2 is left out
        # −K0 + K1 = [[−1, 2], [1, −2]] at the first pixel, K1 at the second.
        (1, False, [[-1, 2 + 0, 1], [1, -2 + 1, 0]]),
        (1, True, [[0, 1 + 0, 1], [1, 0 + 1, 0]]),
        # 2 K0 + ½ K1 = [[2, −1.5], [0.5, 4]] at the first pixel, ½ K1 at the second.
        (2, False, [[2, -1.5 + 0, 0.5], [0.5, 4 + 0.5, 0]]),
        (2, True, [[2, -1.5 + 0, 0.5], [0.5, 4 + 0.5, 0]]),
    ],
)
def test_filter_of_the_second_convolution(filter, guided, expected):
    maps = maps_of(layer="2", filter=filter, guided=guided)
    np.testing.assert_array_equal(maps, expected)


def test_guided_by_default():
    np.testing.assert_array_equal(maps_of(layer="2", filter=0), [[1, -1, 0], [0, 2, 0]])


# The map of filter 1 for the first image, as above. The map of filter 2 for the second image, with
# gradients (2, ½) at both pixels.
LARGEST_SUM = {
    False: [[[-1, 2, 1], [1, -1, 0]], [[2, -1.5 + 2, -1.5], [0.5, 4 + 0.5, 4]]],
    True: [[[0, 1, 1], [1, 1, 0]], [[2, -1.5 + 2, -1.5], [0.5, 4 + 0.5, 4]]],
}


@pytest.mark.parametrize("guided", [False, True])
@pytest.mark.parametrize("layer", ["2", "3", None])
def test_filter_with_the_largest_sum_is_the_default(layer, guided):
    """The sum is signed. Filter 0 of the first image has −15 before the ReLU, and is not taken."""
    maps = activation_gradient(small(), batch(), layer=layer, guided=guided).numpy()
    np.testing.assert_array_equal(maps[:, 0], LARGEST_SUM[guided])


def test_one_filter_for_all_images():
    together = activation_gradient(small(), batch(), layer="2", filter=2, guided=False).numpy()
    expected = [[[2, -1.5, 0.5], [0.5, 4.5, 0]], LARGEST_SUM[False][1]]
    np.testing.assert_array_equal(together[:, 0], expected)


def test_default_layer_is_the_activation_of_the_last_convolution():
    """Filter 0 is zero after the ReLU, and not zero before it."""
    assert not maps_of(filter=0).any()
    assert not maps_of(layer="3", filter=0).any()
    assert maps_of(layer="2", filter=0).any()


def test_default_layer_without_an_activation():
    network = small()
    network[3] = nn.Identity()
    np.testing.assert_array_equal(maps_of(network, filter=0), [[1, -1, 0], [0, 2, 0]])


@pytest.mark.parametrize("targets", [None, 0, 1])
def test_targets_have_no_effect(targets):
    maps = activation_gradient(small(), batch(), targets, guided=False).numpy()
    np.testing.assert_array_equal(maps[:, 0], LARGEST_SUM[False])


@pytest.mark.parametrize(
    ("sign", "expected"),
    [
        ("signed", [[-1, 2, 1], [1, -1, 0]]),
        ("absolute", [[1, 2, 1], [1, 1, 0]]),
        ("positive", [[0, 2, 1], [1, 0, 0]]),
        ("negative", [[1, 0, 0], [0, 1, 0]]),
    ],
)
def test_sign_option(sign, expected):
    np.testing.assert_array_equal(maps_of(filter=1, guided=False, sign=sign), expected)


def test_channel_option():
    """The filter reads the three channels of the image with weights 2, −3 and 0."""
    network = nn.Sequential(nn.Conv2D(3, 1, 1), nn.AdaptiveAvgPool2D(1), nn.Flatten())
    network[0].weight.set_value(np.float32([2, -3, 0]).reshape(1, 3, 1, 1))
    image = paddle.ones([1, 3, 2, 2])
    for channel, expected in (("none", [2, -3, 0]), ("sum", [-1]), ("max", [2])):
        maps = activation_gradient(network, image, channel=channel).numpy()
        np.testing.assert_array_equal(maps[0, :, 1, 0], expected)


def test_last_call_of_a_layer_is_used():
    """x → 3 x → 9 x: the sum of the second call has the gradient 9, not 3."""
    layer = nn.Conv2D(1, 1, 1, bias_attr=False)
    layer.weight.set_value(np.float32([[[[3]]]]))
    network = nn.Sequential(layer, nn.Sequential(layer), nn.Flatten())
    maps = activation_gradient(network, paddle.ones([1, 1, 2, 2]), layer="0").numpy()
    np.testing.assert_array_equal(maps, np.full([1, 1, 2, 2], 9))


def test_layer_inside_a_container():
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
    with pytest.raises(VisualizeError, match="never calls its layer 'unused'"):
        activation_gradient(small(kind=WithUnusedLayer), batch(), layer="unused")


def test_in_place_relu_before_the_layer():
    network = small()
    network[1].forward = nn.functional.relu_
    with pytest.raises(VisualizeError, match="in place"):
        activation_gradient(network, batch(), layer="2", filter=0)
    np.testing.assert_array_equal(
        maps_of(network, layer="2", filter=0, guided=False), [[1, -3, -2], [-2, 0, 0]]
    )
