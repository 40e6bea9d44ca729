"""Fast convolutions give the outputs and gradients of Paddle's own. Other ones run in Paddle."""

from pathlib import Path

import paddle
import pytest
from paddle import nn
from paddle.nn import functional
from paddle.nn.functional import conv
from toys import both_ways

from visualize_pd import class_image, input_gradient, score_cam
from visualize_pd.network.fast import convolution
from visualize_pd.network.fast.layers import fast_layers
from visualize_pd.network.fast.onednn import threads

PADDLES_OWN = conv._conv_nd


@pytest.fixture
def run_by_paddle(monkeypatch):
    """The shapes of the weights of the convolutions that Paddle itself ran."""
    shapes = []

    def recorded(x, weight, *options, **others):
        shapes.append(list(weight.shape))
        return PADDLES_OWN(x, weight, *options, **others)

    monkeypatch.setattr(convolution, "_OWN", recorded)
    return shapes


def relative(found, expected):
    """The largest difference, as a share of the largest expected value."""
    assert found.shape == expected.shape and found.dtype == expected.dtype
    return float((found - expected).abs().max() / expected.abs().max())


def frozen_layer(*arguments, **options):
    paddle.seed(0)
    layer = nn.Conv2D(*arguments, **options)
    if layer.bias is not None:
        layer.bias.set_value(paddle.randn(layer.bias.shape))
    for parameter in layer.parameters():
        parameter.stop_gradient = True
    return layer


def check(layer, images, tolerance=5e-6):
    expected = both_ways(layer, images)
    with fast_layers():
        found = both_ways(layer, images)
        with paddle.no_grad():
            output = layer(images)
    for one, other in zip((*found, output), (*expected, expected[0])):
        assert relative(one, other) <= tolerance


# Channels, filters, kernel size and further options.
DENSE = [
    (16, 8, 3, {}),
    (20, 24, 3, {"padding": 1}),
    (16, 8, (3, 5), {"padding": (1, 2)}),
    (17, 5, 5, {"padding": 2, "stride": 2}),
    (16, 16, 3, {"padding": 2, "dilation": 2}),
    (16, 8, 3, {"padding": [1, 1, 0, 2]}),
    (16, 8, 4, {"padding": "SAME"}),
    (16, 8, 3, {"padding": "VALID", "stride": (2, 3)}),
    (32, 64, 3, {"padding": 1, "groups": 4}),
    (16, 8, 3, {"padding": 1, "padding_mode": "reflect"}),
    (18, 6, 3, {"padding": 4}),
    (16, 6, 2, {"dilation": 11}),
    (16, 32, 3, {"groups": 16}),
]
DEPTHWISE = [
    (16, 16, kernel, {"padding": kernel // 2, "stride": stride, "groups": 16})
    for kernel in (2, 3, 5, 7)
    for stride in (1, 2)
]
FIRST = [
    (3, 8, 11, {"padding": 2, "stride": 4}),
    (3, 8, 7, {"padding": 3, "stride": 2}),
    (1, 8, 5, {}),
]


@pytest.mark.parametrize("bias", [None, False])
@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize(("channels", "filters", "kernel", "options"), DENSE + DEPTHWISE + FIRST)
def test_output_and_gradient(channels, filters, kernel, options, count, bias, run_by_paddle):
    layer = frozen_layer(channels, filters, kernel, bias_attr=bias, **options)
    paddle.seed(1)
    with fast_layers():
        layer(paddle.randn([1, channels, 13, 14]))  # the first call compares with Paddle's own
    run_by_paddle.clear()
    check(layer, paddle.randn([count, channels, 13, 14]))
    assert run_by_paddle == []


def test_gradient_by_hand():
    """∂/∂x of Σ (w ⋆ x) is Σ w, except at the edges."""
    layer = frozen_layer(16, 16, 5, padding=2, groups=16, bias_attr=False)
    x = paddle.zeros([1, 16, 11, 11])
    x.stop_gradient = False
    with fast_layers():
        (gradient,) = paddle.grad(layer(x).sum(), x)
    for channel in range(16):
        inner = gradient[0, channel, 4:7, 4:7]
        assert float((inner - layer.weight[channel].sum()).abs().max()) <= 1e-5
    corner = layer.weight[0, 0, :3, :3].sum()  # only these weights reach the pixel in the corner
    assert float((gradient[0, 0, 0, 0] - corner).abs()) <= 1e-5


@pytest.mark.parametrize("bias", [None, False])
@pytest.mark.parametrize("groups", [1, 16])
def test_changed_weights_are_used(bias, groups):
    """With `is_test=True`, oneDNN would keep the first weights that it sees."""
    layer = frozen_layer(16, 16, 3, groups=groups, bias_attr=bias)
    images = paddle.randn([2, 16, 8, 8])
    for _ in range(3):
        check(layer, images)
        for parameter in layer.parameters():
            parameter.set_value(parameter * -2 + 0.1)


def test_layers_that_share_a_program_keep_their_own_weights():
    images = paddle.randn([2, 16, 9, 9])
    layers = [frozen_layer(16, filters, kernel, padding=1) for filters, kernel in
              ((4, 3), (40, 3), (4, 2), (8, 5), (4, 3))]  # fmt: skip
    layers[-1].weight.set_value(layers[-1].weight * 3)
    for _ in range(2):
        for layer in layers:
            check(layer, images)
    check(layers[0], paddle.randn([1, 16, 30, 20]))
    check(layers[0], paddle.randn([5, 16, 9, 9]))
    check(layers[0], images)


def test_layers_that_differ_in_one_option_use_different_programs():
    """oneDNN finds what it has cached by shapes and names."""
    images = paddle.randn([2, 16, 14, 15])
    layers = [
        frozen_layer(16, filters, 3, stride=stride, padding=padding, dilation=dilation)
        for filters in (16, 24, 40)
        for stride in (1, 2)
        for padding in (0, 1)
        for dilation in (1, 2)
    ]
    for _ in range(2):
        for layer in layers:
            check(layer, images)


def test_inputs_that_are_not_contiguous():
    layer = frozen_layer(16, 8, 3)
    transposed = paddle.randn([2, 16, 9, 12]).transpose([0, 1, 3, 2])
    assert not transposed.is_contiguous()
    check(layer, transposed)
    check(layer, paddle.randn([4, 16, 9, 9])[1:3])
    weight = paddle.randn([3, 3, 16, 8]).transpose([3, 2, 0, 1])
    of_output = paddle.randn([8, 7, 7, 2]).transpose([3, 0, 1, 2])
    weight.stop_gradient = True
    x = paddle.randn([2, 16, 9, 9])
    x.stop_gradient = False
    results = []
    for fast in (False, True):
        convolve = convolution.convolution if fast else PADDLES_OWN
        output = convolve(x, weight, None, [1, 1], [0, 0], "EXPLICIT", [1, 1])
        (gradient,) = paddle.grad([output], [x], [of_output])
        results.append((output, gradient))
    assert all(relative(one, other) <= 5e-6 for one, other in zip(results[1], results[0]))


def test_output_is_not_overwritten_by_the_next_run():
    layer = frozen_layer(16, 8, 3, bias_attr=False)
    with fast_layers(), paddle.no_grad():
        first = layer(paddle.ones([1, 16, 8, 8]))
        before = first.clone()
        layer(paddle.randn([1, 16, 8, 8]))
        assert (first == before).all()
        first += 1  # an output can be changed in place
        assert (first == before + 1).all()


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (lambda: nn.Conv2D(3, 8, 3), [2, 3, 8, 8]),  # images with a small kernel
        (lambda: nn.Conv2D(16, 8, 1), [2, 16, 8, 8]),
        (lambda: nn.Conv2D(16, 8, 1, stride=2, padding=1, groups=2), [2, 16, 8, 8]),
        (lambda: nn.Conv2D(16, 8, 3, data_format="NHWC"), [2, 20, 20, 16]),
        (lambda: nn.Conv2DTranspose(16, 8, 3), [2, 16, 8, 8]),
        (lambda: nn.Conv1D(16, 8, 3), [2, 16, 8]),
        (lambda: nn.Conv3D(16, 8, 3), [1, 16, 5, 5, 5]),
    ],
)
def test_other_convolutions_run_in_paddle(layer, shape, run_by_paddle):
    layer = layer()
    for parameter in layer.parameters():
        parameter.stop_gradient = True
    images = paddle.randn(shape)
    expected = both_ways(layer, images)
    run_by_paddle.clear()
    with fast_layers():
        found = both_ways(layer, images)
    assert all(relative(one, other) <= 1e-6 for one, other in zip(found, expected))
    assert len(run_by_paddle) == (isinstance(layer, (nn.Conv2D, nn.Conv3D)))


def test_trainable_parameters_get_their_gradient(run_by_paddle):
    layer = nn.Conv2D(16, 16, 3, padding=1)
    for parameter in (layer.weight, layer.bias):
        layer.weight.stop_gradient = layer.bias.stop_gradient = True
        parameter.stop_gradient = False
        with fast_layers():
            layer(paddle.randn([1, 16, 6, 6])).sum().backward()
        assert parameter.grad is not None
    assert len(run_by_paddle) == 2


def test_float64_runs_in_paddle(run_by_paddle):
    layer = frozen_layer(16, 8, 5, padding=2).to(dtype="float64")
    check(layer, paddle.randn([1, 16, 8, 8]).astype("float64"), tolerance=1e-14)
    assert run_by_paddle


@pytest.mark.parametrize("fault", ["other numbers", "an error"])
def test_program_that_fails_its_first_comparison_is_not_used(fault, run_by_paddle, monkeypatch):
    """Then Paddle's own convolution runs, and gives exactly its own numbers."""
    convolution._programs.cache_clear()
    program = convolution.convolution_program

    def faulty(kind, given, result):
        run = program(kind, given, result)
        if fault == "an error":
            raise RuntimeError("no oneDNN")
        return lambda *tensors: run(*tensors) * (1 + 2e-5 * ("GRAD" in result))

    monkeypatch.setattr(convolution, "convolution_program", faulty)
    layer, images = frozen_layer(16, 8, 3), paddle.randn([2, 16, 7, 7])
    expected = both_ways(layer, images)
    run_by_paddle.clear()
    with fast_layers():
        assert list(map(relative, both_ways(layer, images), expected)) == [0, 0]
    assert run_by_paddle[-1] == [8, 16, 3, 3]
    convolution._programs.cache_clear()


def test_number_of_threads_is_restored():
    """The inference engine sets it to one."""
    before = threads()
    try:
        for count in (2, 3):
            paddle.base.core.set_num_threads(count)
            check(frozen_layer(16, 8, 3), paddle.randn([1, 16, 9, 9]))
            assert threads() == count
    finally:
        paddle.base.core.set_num_threads(before)


def test_nothing_is_written_to_the_terminal(capfd):
    convolution._programs.cache_clear()
    check(frozen_layer(16, 8, 3), paddle.randn([1, 16, 9, 9]))
    assert capfd.readouterr() == ("", "")


def test_memory_of_a_pass_is_released():
    layer, images = frozen_layer(16, 64, 3, padding=1), paddle.randn([8, 16, 64, 64])
    used = []
    for _ in range(40):
        with fast_layers():
            both_ways(layer, images)
        used.append(int(Path("/proc/self/statm").read_text().split()[1]) * 4096)
    assert used[-1] - used[9] < 10e6  # one output takes 8 MB


def test_paddles_own_convolution_is_restored_after_an_error():
    with pytest.raises(ZeroDivisionError), fast_layers():
        raise ZeroDivisionError
    assert conv._conv_nd is PADDLES_OWN


class Small(nn.Layer):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv2D(3, 16, 5, padding=2)
        self.convolution = nn.Conv2D(16, 16, 3, padding=1, groups=16)
        self.head = nn.Linear(16, 2)

    def forward(self, images):
        maps = self.convolution(functional.relu(self.first(images)))
        return self.head(functional.relu(maps).mean([2, 3]))


def test_gradients_scores_and_class_images_use_fast_convolutions(run_by_paddle):
    paddle.seed(0)
    network, images = Small(), paddle.randn([2, 3, 12, 12])
    input_gradient(network, images, 1)
    run_by_paddle.clear()
    gradient = input_gradient(network, images, 1)
    score_cam(network, images, 1)
    list(class_image(network, 1, iterations=2, init=images[:1], shift=0))
    assert run_by_paddle == []
    x = images.detach()
    x.stop_gradient = False
    (expected,) = paddle.grad(network(x)[:, 1].sum(), x)
    assert relative(gradient, expected) <= 5e-6
