"""Fast linear layers and max pooling give the numbers of Paddle's own layers."""

import paddle
import pytest
from paddle import nn
from paddle.nn import functional
from paddle.nn.functional import conv
from toys import both_ways

from visualize_pd.network.fast import forward_backward, layers
from visualize_pd.network.fast.layers import fast_layers

PADDLES_OWN = functional.linear, functional.max_pool2d, conv._conv_nd


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
def fast_calls(monkeypatch):
    """A list that gets one entry for each call of a fast linear layer."""
    calls, apply = [], forward_backward.ForwardBackward.apply
    monkeypatch.setattr(
        forward_backward.ForwardBackward, "apply", lambda *a: calls.append(1) or apply(*a)
    )
    return calls


@pytest.mark.parametrize("bias", [None, False])
@pytest.mark.parametrize("count", [1, 8])
def test_linear_layers(count, bias, fast_calls):
    check(nn.Linear(70, 30, bias_attr=bias), paddle.randn([count, 70]))
    assert fast_calls == [1]


def test_other_linear_layers_run_in_paddle(fast_calls):
    check(nn.Linear(7, 3), paddle.randn([2, 5, 7]))
    check(nn.Linear(7, 3).to(dtype="float64"), paddle.randn([2, 7]).astype("float64"), 1e-14)
    trainable = nn.Linear(7, 3)
    with fast_layers():
        trainable(paddle.randn([2, 7])).sum().backward()
    assert trainable.weight.grad is not None and not fast_calls


@pytest.fixture
def masks_asked(monkeypatch):
    """For each max pooling in the block, whether it asked Paddle for the places of the maxima.

    The fast one does.
    """
    asked, paddles_own = [], layers._MAX_POOL

    def recorded(x, *options, **others):
        asked.append(bool(others.get("return_mask")))
        return paddles_own(x, *options, **others)

    monkeypatch.setattr(layers, "_MAX_POOL", recorded)
    return asked


@pytest.mark.parametrize(
    "options",
    [(2,), (3, 2), (3, 2, 1), (3, 1, 1), ((3, 2), (2, 1), (1, 0))],
)
def test_max_pooling(options, masks_asked):
    paddle.seed(0)
    check(nn.MaxPool2D(*options), paddle.randn([3, 5, 13, 12]))
    assert masks_asked == [True]


@pytest.mark.parametrize("options", [(2,), (3, 2, 1), (3, 1, 1)])
def test_same_pixel_of_equal_maxima_gets_the_gradient(options, masks_asked):
    """Equal maxima are common after a ReLU."""
    paddle.seed(0)
    zeros_and_ones = paddle.randint(0, 2, [2, 4, 11, 11]).astype("float32")
    check(nn.MaxPool2D(*options), zeros_and_ones)
    check(nn.MaxPool2D(*options), paddle.zeros([1, 4, 11, 11]))
    assert masks_asked == [True, True]


@pytest.mark.parametrize(
    ("options", "shape"),
    [
        ({"kernel_size": 3, "stride": 2, "ceil_mode": True}, [2, 5, 10, 10]),
        ({"kernel_size": 3, "stride": 2, "padding": "SAME"}, [2, 5, 10, 10]),
        ({"kernel_size": 3, "padding": [1, 0, 0, 1]}, [2, 5, 10, 10]),
        ({"kernel_size": 2, "data_format": "NHWC"}, [2, 10, 10, 5]),
    ],
)
def test_other_max_poolings_run_in_paddle(options, shape, masks_asked):
    check(nn.MaxPool2D(**options), paddle.randn(shape))
    assert masks_asked == [False]


def test_max_pooling_with_return_mask():
    x = paddle.randn([1, 2, 6, 6])
    x.stop_gradient = False
    with fast_layers():
        output, mask = functional.max_pool2d(x, 2, return_mask=True)
    expected, places = functional.max_pool2d(x, 2, return_mask=True)
    assert (output == expected).all() and (mask == places).all()


def test_paddles_own_functions_are_restored_after_an_error():
    with pytest.raises(ZeroDivisionError), fast_layers():
        with fast_layers():
            pass
        assert functional.linear is layers._linear
        raise ZeroDivisionError
    assert (functional.linear, functional.max_pool2d, conv._conv_nd) == PADDLES_OWN
