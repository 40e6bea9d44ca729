"""Quick depthwise convolutions give what Paddle's own give, forwards and backwards."""

import paddle
import pytest
from paddle import nn
from paddle.nn import functional

from visualize_pd import class_image, depthwise, input_gradient
from visualize_pd.depthwise import quick_depthwise

OWN = paddle._C_ops.depthwise_conv2d


@pytest.fixture
def turned(monkeypatch):
    """How often the quick form was taken."""
    taken, apply = [], depthwise._BothWays.apply
    monkeypatch.setattr(depthwise._BothWays, "apply", lambda *a: taken.append(1) or apply(*a))
    return taken


def both_ways(convolution, images, seed=3):
    """The output, and the gradient of its sum weighted at random."""
    x = images.detach()
    x.stop_gradient = False
    output = convolution(x)
    paddle.seed(seed)
    weights = paddle.randn(output.shape).astype(output.dtype)
    (gradient,) = paddle.grad((output * weights).sum(), x)
    return output, gradient


def relative(found, expected):
    return float((found - expected).abs().max() / expected.abs().max())


def frozen_layer(channels=5, kernel=3, **options):
    paddle.seed(0)
    layer = nn.Conv2D(channels, channels, kernel, groups=channels, **options)
    for parameter in layer.parameters():
        parameter.stop_gradient = True
    return layer


@pytest.mark.parametrize("bias", [None, False])
@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize(
    ("kernel", "padding"),
    [(3, 1), (3, 0), (5, 2), (5, 1), (5, 0), (7, 3), (2, 1), (1, 0), ((3, 5), (1, 2)),
     ((5, 1), (4, 0))],
)  # fmt: skip
def test_quick_ones_are_exact(kernel, padding, count, bias, turned):
    layer = frozen_layer(kernel=kernel, padding=padding, bias_attr=bias)
    images = paddle.randn([count, 5, 9, 12])
    expected = both_ways(layer, images)
    with quick_depthwise():
        found = both_ways(layer, images)
    assert len(turned) == 1
    assert relative(found[0], expected[0]) <= 1e-6 and relative(found[1], expected[1]) <= 1e-6


def test_the_gradient_is_that_of_the_definition():
    """By hand: ∂/∂x of Σ (w ⋆ x) is, away from the edges, Σ w."""
    layer = frozen_layer(channels=2, kernel=5, padding=2, bias_attr=False)
    x = paddle.zeros([1, 2, 11, 11])
    x.stop_gradient = False
    with quick_depthwise():
        (gradient,) = paddle.grad(layer(x).sum(), x)
    for channel in range(2):
        inner = gradient[0, channel, 4:7, 4:7]
        assert float((inner - layer.weight[channel].sum()).abs().max()) <= 1e-5
    corner = layer.weight[0, 0, :3, :3].sum()  # reached by the kernel's first three rows only
    assert float((gradient[0, 0, 0, 0] - corner).abs()) <= 1e-5


@pytest.mark.parametrize(
    "options",
    [{"stride": 2, "padding": 1}, {"padding": "SAME"}, {"dilation": 2}, {"padding": [1, 1, 0, 2]},
     {"padding": 3}, {"padding_mode": "reflect", "padding": 1}],
)  # fmt: skip
def test_others_are_left_to_paddle(options, turned):
    layer, images = frozen_layer(**options), paddle.randn([2, 5, 8, 8])
    expected = both_ways(layer, images)
    with quick_depthwise():
        found = both_ways(layer, images)
    taken = len(turned)
    assert taken == (1 if "padding_mode" in options else 0)  # it pads by itself beforehand
    assert relative(found[0], expected[0]) <= 1e-6 and relative(found[1], expected[1]) <= 1e-6


def test_several_outputs_for_each_channel_are_left_to_paddle(turned):
    layer = nn.Conv2D(4, 8, 3, groups=4, padding=1)
    images = paddle.randn([1, 4, 6, 6])
    expected = both_ways(layer, images)
    for parameter in layer.parameters():
        parameter.stop_gradient = True
    with quick_depthwise():
        found = both_ways(layer, images)
    assert relative(found[1], expected[1]) <= 1e-6 and not turned


def test_weights_that_learn_get_their_gradient(turned):
    layer = nn.Conv2D(4, 4, 3, groups=4, padding=1)
    with quick_depthwise():
        layer(paddle.randn([1, 4, 6, 6])).sum().backward()
    assert layer.weight.grad is not None and not turned


def test_doubles_stay_doubles():
    layer = frozen_layer(kernel=5, padding=2).to(dtype="float64")
    images = paddle.randn([1, 5, 8, 8]).astype("float64")
    expected = both_ways(layer, images)
    with quick_depthwise():
        found = both_ways(layer, images)
    assert found[1].dtype == paddle.float64 and relative(found[1], expected[1]) <= 1e-14


def test_the_operation_is_put_back_also_after_an_error():
    with pytest.raises(ZeroDivisionError), quick_depthwise():
        raise ZeroDivisionError
    assert paddle._C_ops.depthwise_conv2d is OWN


class Small(nn.Layer):
    def __init__(self):
        super().__init__()
        self.convolution = nn.Conv2D(3, 3, 5, padding=2, groups=3)
        self.head = nn.Linear(3, 2)

    def forward(self, images):
        return self.head(functional.relu(self.convolution(images)).mean([2, 3]))


def test_gradients_and_class_images_take_them(turned):
    paddle.seed(0)
    network, images = Small(), paddle.randn([2, 3, 12, 12])
    gradient = input_gradient(network, images, 1)
    assert len(turned) == 1
    x = images.detach()
    x.stop_gradient = False
    (expected,) = paddle.grad(network(x)[:, 1].sum(), x)
    assert relative(gradient, expected) <= 1e-6
    list(class_image(network, 1, iterations=2, init=images[:1], shift=0))
    assert len(turned) == 4
