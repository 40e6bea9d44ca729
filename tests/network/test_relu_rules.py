"""The maps of guided backpropagation and deconvnet, compared with gradients computed by hand."""

import numpy as np
import paddle
import pytest
from paddle import nn
from paddle.nn import functional
from paddle.nn.functional import relu
from relu_toys import METHODS, CallsFunction, dense, every_rule, pixels
from tiny import small_net
from toys import images

from visualize_pd import deconvnet, gradient, guided_backprop

pytestmark = pytest.mark.usefixtures("operations_are_restored")

# logits = V · relu(B · relu(A · x)). For the image x = (1, 2):
# A x = (3, 1, −3, 3), so the third unit of the first ReLU is closed.
# B (3, 1, 0, 3) = (1, 1, −2), so the third unit of the second ReLU is closed too.
A = [[1, 1], [5, -2], [1, -2], [-1, 2]]
B = [[1, 1, 1, -1], [-1, 1, 2, 1], [1, -2, 1, -1]]
V = [[2, -1, 3], [-1, 2, 1]]
# The comments below show the gradient after the second ReLU, after Bᵀ, after the first ReLU, and
# after Aᵀ.
BY_HAND = {
    # Class 0: the gradient (2, −1, 3) arrives at the second ReLU.
    # (2, −1, 0) → (3, 1, 0, −3) → (3, 1, 0, −3) → 3 + 5 + 3, 3 − 2 − 6.
    ("gradient", 0): [11, -5],
    # (2, 0, 0) → (2, 2, 2, −2) → (2, 2, 0, 0) → 2 + 10, 2 − 4.
    ("guided", 0): [12, -2],
    # (2, 0, 3) → (5, −4, 5, −5) → (5, 0, 5, 0) → 5 + 5, 5 − 10.
    ("deconvnet", 0): [10, -5],
    # Class 1: the gradient (−1, 2, 1) arrives at the second ReLU.
    # (−1, 2, 0) → (−3, 1, 3, 3) → (−3, 1, 0, 3) → −3 + 5 − 3, −3 − 2 + 6.
    ("gradient", 1): [-1, 1],
    # (0, 2, 0) → (−2, 2, 4, 2) → (0, 2, 0, 2) → 10 − 2, −4 + 4.
    ("guided", 1): [8, 0],
    # (0, 2, 1) → (−1, 0, 5, 1) → (0, 0, 5, 1) → 5 − 1, −10 + 2.
    ("deconvnet", 1): [4, -8],
}


def two_relus(first, second):
    """The network above. The first ReLU follows a convolution, the second is in the classifier."""
    convolution = nn.Conv2D(2, 4, 1, bias_attr=False)
    convolution.weight.set_value(np.float32(A)[:, :, None, None])
    return nn.Sequential(convolution, first, nn.Flatten(), dense(B), second, dense(V))


def shared(layer):
    return layer, layer


# The ways in which two ReLUs can be written.
WRITTEN_AS = {
    "two layers": lambda: (nn.ReLU(), nn.ReLU()),
    "one layer, twice": lambda: shared(nn.ReLU()),
    "ReLU6": lambda: (nn.ReLU6(), nn.ReLU6()),
    "one ReLU6, twice": lambda: shared(nn.ReLU6()),
    "both kinds": lambda: (nn.ReLU6(), nn.ReLU()),
    "functional.relu": lambda: shared(CallsFunction(lambda x: functional.relu(x))),
    "paddle.nn.functional.relu": lambda: shared(
        CallsFunction(lambda x: paddle.nn.functional.relu(x))
    ),
    "an imported relu": lambda: shared(CallsFunction(relu)),
    "functional.relu6": lambda: shared(CallsFunction(lambda x: functional.relu6(x))),
    "nested": lambda: (nn.Sequential(nn.Sequential(CallsFunction(relu))), nn.Sequential(nn.ReLU())),
    "by keyword": lambda: shared(CallsFunction(lambda x: functional.relu(x=x))),
    "with a name": lambda: (
        nn.ReLU(name="first"),
        CallsFunction(lambda x: functional.relu6(x, name="b")),
    ),
}


@every_rule
@pytest.mark.parametrize("written", WRITTEN_AS.values(), ids=WRITTEN_AS.keys())
def test_network_with_two_relus_by_hand(written, rule):
    maps = METHODS[rule](two_relus(*written()), pixels([1, 2], [1, 2]), [0, 1]).numpy()
    expected = [BY_HAND[rule, 0], BY_HAND[rule, 1]]
    np.testing.assert_array_equal(maps[:, :, 0, 0], expected)


@every_rule
@pytest.mark.parametrize(
    ("sign", "part"),
    [
        ("signed", lambda m: m),
        ("absolute", abs),
        ("positive", lambda m: np.maximum(m, 0)),
        ("negative", lambda m: np.maximum(-m, 0)),
    ],
)
def test_sign_option(rule, sign, part):
    """The rules remove negative gradients at each ReLU. The map itself still has both signs."""
    network = two_relus(nn.ReLU(), nn.ReLU())
    maps = METHODS[rule](network, pixels([1, 2]), 0, sign=sign).numpy()
    np.testing.assert_array_equal(maps.ravel(), part(np.float32(BY_HAND[rule, 0])))


def through(rule, gradient, before, ceiling=np.inf):
    """The gradient after a ReLU with the input `before`, by the definitions of the papers."""
    is_open = (before > 0) & (before < ceiling)
    return {
        "gradient": gradient * is_open,
        "guided": np.maximum(gradient, 0) * is_open,
        "deconvnet": np.maximum(gradient, 0),
    }[rule]


@every_rule
@pytest.mark.parametrize("score", ["logit", "probability", "log_probability"])
def test_rules_start_from_the_gradient_of_the_score(rule, score):
    """For a probability, the gradients of the other logits are negative."""
    a, b, v = (np.float64(matrix) for matrix in (A, B, V))
    x, target = np.array([0.4, 0.3]), 1
    first = a @ x
    second = b @ np.maximum(first, 0)
    logits = v @ np.maximum(second, 0)
    p = np.exp(logits) / np.exp(logits).sum()
    one_hot = np.eye(2)[target]
    of_logits = {"logit": one_hot, "log_probability": one_hot - p}
    of_logits["probability"] = p[target] * (one_hot - p)
    expected = a.T @ through(rule, b.T @ through(rule, v.T @ of_logits[score], second), first)
    network = two_relus(nn.ReLU(), nn.ReLU())
    maps = METHODS[rule](network, pixels(x), target, score=score).numpy()
    np.testing.assert_allclose(maps.ravel(), expected, rtol=1e-5)


@every_rule
def test_convolutions_equal_their_matrices(rule):
    """A convolution is linear. Column i of its matrix is its output for pixel i alone."""
    paddle.seed(2)
    size = [2, 5, 4]
    first, second = nn.Conv2D(2, 3, 3, padding=1), nn.Conv2D(3, 4, 3, stride=2)
    network = nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), nn.Flatten(), nn.Linear(8, 2))
    network.eval()

    def matrix(layer, shape):
        each = paddle.eye(int(np.prod(shape))).reshape([-1, *shape])
        offset = layer(paddle.zeros([1, *shape]))
        columns = (layer(each) - offset).flatten(1).numpy().astype("float64").T
        return columns, offset.numpy().ravel().astype("float64")

    with paddle.no_grad():
        (m1, b1), (m2, b2) = matrix(first, size), matrix(second, [3, 5, 4])
    v = network[5].weight.numpy().astype("float64").T
    batch = images(2, 5, 4)[:, :2]
    for image, target, out in zip(batch.numpy(), [1, 0], METHODS[rule](network, batch, [1, 0])):
        before1 = m1 @ image.ravel() + b1
        before2 = m2 @ np.maximum(before1, 0) + b2
        assert before1.min() < 0 < before1.max() and before2.min() < 0 < before2.max()
        expected = m1.T @ through(rule, m2.T @ through(rule, v[target], before2), before1)
        np.testing.assert_allclose(out.numpy().ravel(), expected, rtol=1e-4, atol=1e-6)


# For the image (1, 2), three units get the inputs 3, 8 and −1. A fourth one has a negative weight.
UNITS = [[1, 1], [4, 2], [-1, 0], [0, 1]]
WEIGHTS = [[1, 1, 1, -1]]


@pytest.mark.parametrize(
    ("activation", "rule", "expected"),
    [
        (nn.ReLU, "gradient", [1 + 4, 1 + 2 - 1]),
        (nn.ReLU, "guided", [1 + 4, 1 + 2]),
        (nn.ReLU, "deconvnet", [1 + 4 - 1, 1 + 2]),
        # 8 is over 6, so the derivative of the second unit is 0.
        (nn.ReLU6, "gradient", [1, 1 - 1]),
        (nn.ReLU6, "guided", [1, 1]),
        (nn.ReLU6, "deconvnet", [1 + 4 - 1, 1 + 2]),
    ],
)
def test_upper_bound_of_relu6(activation, rule, expected):
    network = nn.Sequential(nn.Flatten(), dense(UNITS), activation(), dense(WEIGHTS))
    maps = METHODS[rule](network, pixels([1, 2]), 0).numpy()
    np.testing.assert_array_equal(maps.ravel(), expected)


@pytest.mark.parametrize(
    ("activation", "expected"),
    [
        (nn.ReLU, {"guided": [0, 1, 1, 1], "deconvnet": [1, 1, 1, 1]}),
        (nn.ReLU6, {"guided": [0, 1, 0, 0], "deconvnet": [1, 1, 1, 1]}),
    ],
)
@pytest.mark.parametrize("rule", ["guided", "deconvnet"])
def test_inputs_at_the_bounds_of_a_relu(activation, expected, rule):
    """For guided backpropagation a ReLU is closed at its bounds 0 and 6, as in its derivative."""
    network = nn.Sequential(nn.Flatten(), activation(), dense([[1, 1, 1, 1]]))
    maps = METHODS[rule](network, pixels([0, 5.9, 6, 7]), 0).numpy()
    np.testing.assert_array_equal(maps.ravel(), expected[rule])


class TwoBranches(nn.Layer):
    """The output of one ReLU is used by two branches."""

    def forward(self, x):
        y = functional.relu(x).flatten(1)
        one, other = paddle.to_tensor([[3.0, 5, 4], [-5.0, -3, 1]])
        return (y * one).sum(1, keepdim=True) + (y * other).sum(1, keepdim=True)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [("gradient", [-2, 2, 0]), ("guided", [0, 2, 0]), ("deconvnet", [0, 2, 5])],
)
def test_gradients_of_two_branches_are_added_before_the_rule(rule, expected):
    maps = METHODS[rule](TwoBranches(), pixels([1, 2, -1]), 0).numpy()
    np.testing.assert_array_equal(maps.ravel(), expected)


class Residual(nn.Layer):
    """relu(y + B y) with y = relu(x). For the image (1, 2), B y = (2, −3) and y + B y = (3, −1)."""

    def __init__(self):
        super().__init__()
        self.relu = nn.ReLU()
        self.branch = dense([[-2, 2], [-5, 1]])

    def forward(self, x):
        y = self.relu(x.flatten(1))
        return self.relu(y + self.branch(y)).sum(1, keepdim=True)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("gradient", [1 - 2, 2]),  # (1, 0) → (1, 0) + Bᵀ (1, 0)
        ("guided", [0, 2]),
        ("deconvnet", [0, 1 + 2 + 1]),  # (1, 1) → (1, 1) + Bᵀ (1, 1) = (−6, 4)
    ],
)
def test_residual_network(rule, expected):
    maps = METHODS[rule](Residual(), pixels([1, 2]), 0).numpy()
    np.testing.assert_array_equal(maps.ravel(), expected)


OTHER_ACTIVATIONS = {
    "linear": nn.Identity,
    "leaky": lambda: nn.LeakyReLU(0.1),
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "elu": nn.ELU,
    "swish": nn.Swish,
    "hard swish": nn.Hardswish,
    "hard tanh": nn.Hardtanh,
    "max pooling": lambda: nn.MaxPool2D(2, 1, 1),
}


@pytest.mark.parametrize("activation", OTHER_ACTIVATIONS.values(), ids=OTHER_ACTIVATIONS.keys())
def test_without_a_relu_both_rules_equal_the_gradient(activation):
    """Simonyan et al. 2013, section 4: deconvnet differs from the gradient only at ReLUs."""
    network = small_net()
    network[1], network[3] = activation(), activation()
    batch = images(2, 9, 8)
    expected = gradient(network, batch, 1).numpy()
    assert expected.min() < 0 < expected.max()
    for method in (guided_backprop, deconvnet):
        np.testing.assert_array_equal(method(network, batch, 1).numpy(), expected)


@pytest.mark.parametrize("method", [guided_backprop, deconvnet])
def test_leaky_relu_keeps_its_own_gradient(method):
    network = nn.Sequential(nn.Flatten(), nn.LeakyReLU(0.25), dense([[2, -8, -3]]))
    maps = method(network, pixels([1, -1, 1]), 0).numpy()
    np.testing.assert_array_equal(maps.ravel(), [2, -2, -3])


def test_gradient_and_the_two_rules_differ():
    network, batch = small_net(), images(2, 9, 8)
    maps = {name: method(network, batch, 1).numpy() for name, method in METHODS.items()}
    for one, other in (("gradient", "guided"), ("gradient", "deconvnet"), ("guided", "deconvnet")):
        assert np.abs(maps[one] - maps[other]).max() > 0.1 * np.abs(maps[one]).max()
