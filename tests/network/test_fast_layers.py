"""Quick layers give what Paddle's own give, and only for the length of a block."""

import paddle
import pytest
from paddle import nn
from paddle.nn import functional
from paddle.nn.functional import conv
from toys import both_ways

from visualize_pd.network.fast import forward_backward
from visualize_pd.network.fast import layers as quick
from visualize_pd.network.fast.layers import fast_layers

OWN = functional.linear, functional.max_pool2d, conv._conv_nd


def check(layer, images, tolerance=1e-6):
    for parameter in layer.parameters():
        parameter.stop_gradient = True
    expected = both_ways(layer, images)
    with fast_layers():
        found = both_ways(layer, images)
    for one, other in zip(found, expected):
        assert one.shape == other.shape and one.dtype == other.dtype
        assert float((one - other).abs().max()) <= tolerance * float(other.abs().max())


@pytest.fixture
def taken(monkeypatch):
    """How often a linear layer went both ways by the quick form."""
    calls, apply = [], forward_backward.ForwardBackward.apply
    monkeypatch.setattr(
        forward_backward.ForwardBackward, "apply", lambda *a: calls.append(1) or apply(*a)
    )
    return calls


@pytest.mark.parametrize("bias", [None, False])
@pytest.mark.parametrize("count", [1, 8])
def test_linear_layers(count, bias, taken):
    check(nn.Linear(70, 30, bias_attr=bias), paddle.randn([count, 70]))
    assert taken == [1]


def test_other_linear_layers_are_left_to_paddle(taken):
    check(nn.Linear(7, 3), paddle.randn([2, 5, 7]))
    check(nn.Linear(7, 3).to(dtype="float64"), paddle.randn([2, 7]).astype("float64"), 1e-14)
    learning = nn.Linear(7, 3)
    with fast_layers():
        learning(paddle.randn([2, 7])).sum().backward()
    assert learning.weight.grad is not None and not taken


@pytest.fixture
def masked(monkeypatch):
    """Whether each pooling in a quick block asked for the places of the maxima."""
    asked, own = [], quick._MAX_POOL

    def noted(x, *options, **others):
        asked.append(bool(others.get("return_mask")))
        return own(x, *options, **others)

    monkeypatch.setattr(quick, "_MAX_POOL", noted)
    return asked


@pytest.mark.parametrize(
    "options",
    [(2,), (3, 2), (3, 2, 1), (3, 1, 1), ((3, 2), (2, 1), (1, 0))],
)
def test_max_pooling(options, masked):
    paddle.seed(0)
    check(nn.MaxPool2D(*options), paddle.randn([3, 5, 13, 12]))
    assert masked == [True]


@pytest.mark.parametrize("options", [(2,), (3, 2, 1), (3, 1, 1)])
def test_of_equal_maxima_the_same_one_gets_the_gradient(options, masked):
    paddle.seed(0)
    ties = paddle.randint(0, 2, [2, 4, 11, 11]).astype("float32")  # as after a ReLU
    check(nn.MaxPool2D(*options), ties)
    check(nn.MaxPool2D(*options), paddle.zeros([1, 4, 11, 11]))
    assert masked == [True, True]


@pytest.mark.parametrize(
    ("options", "shape"),
    [
        ({"kernel_size": 3, "stride": 2, "ceil_mode": True}, [2, 5, 10, 10]),
        ({"kernel_size": 3, "stride": 2, "padding": "SAME"}, [2, 5, 10, 10]),
        ({"kernel_size": 3, "padding": [1, 0, 0, 1]}, [2, 5, 10, 10]),
        ({"kernel_size": 2, "data_format": "NHWC"}, [2, 10, 10, 5]),
    ],
)
def test_other_poolings_are_left_to_paddle(options, shape, masked):
    check(nn.MaxPool2D(**options), paddle.randn(shape))
    assert masked == [False]


def test_asked_for_masks_are_returned():
    x = paddle.randn([1, 2, 6, 6])
    x.stop_gradient = False
    with fast_layers():
        output, mask = functional.max_pool2d(x, 2, return_mask=True)
    expected, places = functional.max_pool2d(x, 2, return_mask=True)
    assert (output == expected).all() and (mask == places).all()


def test_paddles_own_are_put_back_also_after_an_error():
    with pytest.raises(ZeroDivisionError), fast_layers():
        with fast_layers():
            pass
        assert functional.linear is quick._linear
        raise ZeroDivisionError
    assert (functional.linear, functional.max_pool2d, conv._conv_nd) == OWN
