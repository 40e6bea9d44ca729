import numpy as np
import pytest
from toys import Linear, Quadratic, images, weights

from visualize_pd import VisualizeError, grad_times_input, gradient, input_gradient, saliency

W = weights()
TARGETS = [2, 1]


def test_gradient_of_a_linear_score_is_its_weights():
    maps = gradient(Linear(W), images(), TARGETS).numpy()
    np.testing.assert_allclose(maps, W[TARGETS], rtol=1e-6)


def test_gradient_of_a_quadratic_score_is_weights_times_image():
    batch = images()
    maps = gradient(Quadratic(W), batch, TARGETS).numpy()
    np.testing.assert_allclose(maps, W[TARGETS] * batch.numpy(), rtol=1e-6)


def test_saliency_is_the_largest_absolute_gradient_of_the_channels():
    """Not the largest signed one: the pixel below has −3 as its strongest."""
    w = np.zeros((1, 3, 2, 3), dtype="float32")
    w[0, :, 0, 1] = [1, -3, 2]
    maps = saliency(Linear(w), images(1, 2, 3), 0).numpy()
    np.testing.assert_array_equal(maps, [[[[0, 3, 0], [0, 0, 0]]]])


def test_grad_times_input_of_a_linear_score_sums_to_the_score():
    batch, network = images(), Linear(W)
    total = grad_times_input(network, batch, TARGETS).numpy().sum((1, 2, 3))
    scores = network(batch).numpy()[[0, 1], TARGETS]
    np.testing.assert_allclose(total, scores, rtol=1e-5)


@pytest.mark.parametrize(
    ("sign", "channel", "expected"),
    [
        ("signed", "none", [1, -3, 2]),
        ("absolute", "none", [1, 3, 2]),
        ("positive", "none", [1, 0, 2]),
        ("negative", "none", [0, 3, 0]),
        ("signed", "sum", [0]),
        ("absolute", "sum", [6]),
        ("absolute", "max", [3]),
        ("positive", "max", [2]),
        ("signed", "max", [2]),
    ],
)
@pytest.mark.parametrize("method", [gradient, saliency])
def test_channel_and_sign(method, sign, channel, expected):
    w = np.float32([1, -3, 2]).reshape(1, 3, 1, 1)
    maps = method(Linear(w), images(1, 1, 1), 0, channel=channel, sign=sign).numpy()
    np.testing.assert_array_equal(maps.ravel(), expected)


@pytest.mark.parametrize("option", [{"channel": "mean"}, {"sign": "minus"}])
def test_unknown_options_are_named(option):
    with pytest.raises(VisualizeError, match=next(iter(option.values()))):
        saliency(Linear(W), images(), 0, **option)


def test_top_class_is_explained_by_default():
    batch, network = images(), Linear(W)
    top = network(batch).numpy().argmax(1)
    np.testing.assert_allclose(input_gradient(network, batch).numpy(), W[top], rtol=1e-6)


@pytest.mark.parametrize("shape", [(3, 5, 7), (2, 3, 5)])
def test_images_must_be_a_batch(shape):
    import paddle

    with pytest.raises(VisualizeError, match="N, C, H, W"):
        input_gradient(Linear(W), paddle.zeros(shape), 0)
