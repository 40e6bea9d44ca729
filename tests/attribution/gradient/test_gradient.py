"""The methods of the gradient family on scores whose gradients are known."""

import numpy as np
import paddle
import pytest
from toys import Linear, Quadratic, images, weights

from visualize_pd import VisualizeError, grad_times_input, gradient, input_gradient, saliency
from visualize_pd.attribution.gradient.smooth_grad import GRADIENT_METHODS

W = weights()
TARGETS = [2, 1]


def test_gradient_of_a_linear_score_is_its_weights():
    maps = gradient(Linear(W), images(), TARGETS).numpy()
    np.testing.assert_allclose(maps, W[TARGETS], rtol=1e-6)


def test_gradient_of_a_quadratic_score_is_its_weights_times_the_image():
    batch = images()
    maps = gradient(Quadratic(W), batch, TARGETS).numpy()
    np.testing.assert_allclose(maps, W[TARGETS] * batch.numpy(), rtol=1e-6)


def test_saliency_is_the_largest_absolute_gradient_over_the_channels():
    """The pixel has gradients 1, −3 and 2. The result is |−3|, not the maximum 2."""
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
def test_channel_and_sign_options(method, sign, channel, expected):
    w = np.float32([1, -3, 2]).reshape(1, 3, 1, 1)
    maps = method(Linear(w), images(1, 1, 1), 0, channel=channel, sign=sign).numpy()
    np.testing.assert_array_equal(maps.ravel(), expected)


@pytest.mark.parametrize("option", [{"channel": "mean"}, {"sign": "minus"}])
def test_unknown_option_is_named_in_the_error(option):
    with pytest.raises(VisualizeError, match=next(iter(option.values()))):
        saliency(Linear(W), images(), 0, **option)


def test_top_class_is_explained_by_default():
    batch, network = images(), Linear(W)
    top = network(batch).numpy().argmax(1)
    np.testing.assert_allclose(input_gradient(network, batch).numpy(), W[top], rtol=1e-6)


@pytest.mark.parametrize("shape", [(3, 5, 7), (2, 3, 5)])
def test_images_must_be_a_batch(shape):
    with pytest.raises(VisualizeError, match="N, C, H, W"):
        input_gradient(Linear(W), paddle.zeros(shape), 0)


# The map of each method, where g is the gradient of the score and x the image. It holds for
# scores whose g is the same along the whole path of integrated gradients.
OF_GRADIENT = {
    "gradient": lambda g, x: g,
    "saliency": lambda g, x: np.abs(g).max(1, keepdims=True),
    "grad_times_input": lambda g, x: g * x,
    "guided_backprop": lambda g, x: g,
    "deconvnet": lambda g, x: g,
    "integrated_gradients": lambda g, x: g * x,
}
every_method = pytest.mark.parametrize("name", OF_GRADIENT)


def test_every_gradient_method_is_in_the_table():
    assert set(OF_GRADIENT) == set(GRADIENT_METHODS)


@every_method
def test_map_of_a_linear_score(name):
    batch = images()
    maps = GRADIENT_METHODS[name](Linear(W), batch, TARGETS).numpy()
    expected = OF_GRADIENT[name](W[TARGETS], batch.numpy())
    rounding = 2e-6 if name == "integrated_gradients" else 0  # of the sum of its 50 weights
    np.testing.assert_allclose(maps, expected, rtol=rounding)


def gradient_of_score(logits, target, score):
    """∂ score / ∂ logits by hand.

    For a softmax, the probability has p_c (e_c − p) and the log probability e_c − p. For the
    sigmoid of a single logit they are p (1 − p) and 1 − p.
    """
    if len(logits) == 1:
        p = 1 / (1 + np.exp(-logits))
        return p * (1 - p) if score == "probability" else 1 - p
    p = np.exp(logits) / np.exp(logits).sum()
    of_log = np.eye(len(logits))[target] - p
    return p[target] * of_log if score == "probability" else of_log


@every_method
@pytest.mark.parametrize("score", ["probability", "log_probability"])
@pytest.mark.parametrize("classes", [1, 2, 3])
def test_map_of_a_probability(name, score, classes):
    w, batch, targets = weights(classes), images() * 0.1, [0, classes - 1]
    w64, x = w.astype("float64"), batch.numpy().astype("float64")
    expected = []
    for image, target in zip(x, targets):
        logits = (w64 * image).sum((1, 2, 3))
        # Along the path from 0 the logits are alpha · logits.
        path = (np.arange(4000) + 0.5) / 4000 if name == "integrated_gradients" else [1.0]
        each = [gradient_of_score(alpha * logits, target, score) for alpha in path]
        expected.append(np.einsum("k,kchw->chw", np.mean(each, axis=0), w64))
    expected = OF_GRADIENT[name](np.stack(expected), x)
    maps = GRADIENT_METHODS[name](Linear(w), batch, targets, score=score).numpy()
    np.testing.assert_allclose(maps, expected, rtol=1e-5, atol=2e-6 * np.abs(expected).max())


@every_method
@pytest.mark.parametrize(
    ("w", "expected"),
    [
        ([-200], [-200]),  # 1 − p = 1
        ([0, 200], [-200]),  # w_0 − w_1, because p_1 = 1
        ([-150, 100, 100], [-250]),  # w_0 − (w_1 + w_2) / 2
    ],
)
def test_log_probability_has_a_gradient_where_the_probability_is_zero(name, w, expected):
    network = Linear(np.float32(w).reshape(-1, 1, 1, 1))
    image = paddle.ones([1, 1, 1, 1])
    method = GRADIENT_METHODS[name]
    if name != "integrated_gradients":
        of_probability = method(network, image, 0, score="probability").numpy()
        assert abs(of_probability.item()) < 1e-20  # the smallest value of Paddle's softmax: e^−64
    maps = method(network, image, 0, score="log_probability").numpy()
    if name == "integrated_gradients":
        # The integral from logits of 0 is ln p(1) − ln p(0). 50 steps give it to 1e-3.
        at_zero = -np.log(2) if len(w) == 1 else -np.log(len(w))
        logits = np.float64(w) if len(w) > 1 else np.float64([w[0], 0])
        at_one = logits[0] - logits.max() - np.log(np.exp(logits - logits.max()).sum())
        np.testing.assert_allclose(maps.item(), at_one - at_zero, rtol=1e-3)
    else:
        expected = OF_GRADIENT[name](np.float64(expected).reshape(1, 1, 1, 1), 1)
        np.testing.assert_allclose(maps, expected, rtol=1e-6)


@every_method
def test_unknown_score_is_named_in_the_error(name):
    with pytest.raises(VisualizeError, match=r"'odds'.*log_probability"):
        GRADIENT_METHODS[name](Linear(W), images(), 0, score="odds")


@every_method
@pytest.mark.parametrize(
    ("sign", "channel", "expected"),
    [
        ("signed", "none", [2, -6, 4]),
        ("absolute", "none", [2, 6, 4]),
        ("positive", "none", [2, 0, 4]),
        ("negative", "sum", [6]),
        ("absolute", "max", [6]),
    ],
)
def test_every_method_has_the_options_channel_and_sign(name, sign, channel, expected):
    w = np.float32([2, -6, 4]).reshape(1, 3, 1, 1)
    method = GRADIENT_METHODS[name]
    maps = method(Linear(w), paddle.ones([1, 3, 1, 1]), 0, channel=channel, sign=sign).numpy()
    np.testing.assert_allclose(maps.ravel(), expected, rtol=1e-6)
