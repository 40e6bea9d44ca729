"""Guided backpropagation and deconvnet: what a ReLU lets back, whichever way it is written."""

import numpy as np
import paddle
import pytest
from paddle import nn
from paddle.nn import functional
from paddle.nn.functional import relu
from tiny import small_net
from toys import images

from visualize_pd import VisualizeError, deconvnet, gradient, guided_backprop
from visualize_pd.network.gradients import record_forward
from visualize_pd.network.relu_rules import relu_rule

METHODS = {"gradient": gradient, "guided": guided_backprop, "deconvnet": deconvnet}
each_rule = pytest.mark.parametrize("rule", METHODS)
OPERATIONS = {name: getattr(paddle._C_ops, name) for name in ("relu", "relu6")}


@pytest.fixture(autouse=True)
def originals_are_back():
    """After every test here the operations are Paddle's own again."""
    yield
    assert {name: getattr(paddle._C_ops, name) for name in OPERATIONS} == OPERATIONS


class Does(nn.Layer):
    """A layer that calls a function."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def dense(matrix):
    """x → matrix · x as a layer."""
    matrix = np.float32(matrix)
    layer = nn.Linear(*matrix.shape[::-1], bias_attr=False)
    layer.weight.set_value(matrix.T)
    return layer


def pixels(*rows):
    """Images of one pixel, a channel for each number."""
    return paddle.to_tensor(np.float32(rows))[:, :, None, None]


# Two hidden layers and two classes. For the image (1, 2):
# A x = (3, 1, −3, 3), so the third unit is shut; B (3, 1, 0, 3) = (1, 1, −2), its third too.
A = [[1, 1], [5, -2], [1, -2], [-1, 2]]
B = [[1, 1, 1, -1], [-1, 1, 2, 1], [1, -2, 1, -1]]
V = [[2, -1, 3], [-1, 2, 1]]
HAND_WORKED = {
    # Class 0 starts with (2, −1, 3) at the second ReLU.
    # (2, −1, 0) → Bᵀ: (3, 1, 0, −3) → (3, 1, 0, −3) → Aᵀ: 3 + 5 + 3, 3 − 2 − 6.
    ("gradient", 0): [11, -5],
    # (2, 0, 0) → (2, 2, 2, −2) → (2, 2, 0, 0) → 2 + 10, 2 − 4.
    ("guided", 0): [12, -2],
    # (2, 0, 3) → (5, −4, 5, −5) → (5, 0, 5, 0) → 5 + 5, 5 − 10.
    ("deconvnet", 0): [10, -5],
    # Class 1 starts with (−1, 2, 1).
    # (−1, 2, 0) → (−3, 1, 3, 3) → (−3, 1, 0, 3) → −3 + 5 − 3, −3 − 2 + 6.
    ("gradient", 1): [-1, 1],
    # (0, 2, 0) → (−2, 2, 4, 2) → (0, 2, 0, 2) → 10 − 2, −4 + 4.
    ("guided", 1): [8, 0],
    # (0, 2, 1) → (−1, 0, 5, 1) → (0, 0, 5, 1) → 5 − 1, −10 + 2.
    ("deconvnet", 1): [4, -8],
}


def hand_worked(first, second):
    """The first ReLU after a convolution, the second in the classifier."""
    convolution = nn.Conv2D(2, 4, 1, bias_attr=False)
    convolution.weight.set_value(np.float32(A)[:, :, None, None])
    return nn.Sequential(convolution, first, nn.Flatten(), dense(B), second, dense(V))


def shared(layer):
    return layer, layer


WRITTEN_AS = {
    "two layers": lambda: (nn.ReLU(), nn.ReLU()),
    "one layer, twice": lambda: shared(nn.ReLU()),
    "ReLU6": lambda: (nn.ReLU6(), nn.ReLU6()),
    "one ReLU6, twice": lambda: shared(nn.ReLU6()),
    "both kinds": lambda: (nn.ReLU6(), nn.ReLU()),
    "functional.relu": lambda: shared(Does(lambda x: functional.relu(x))),
    "paddle.nn.functional.relu": lambda: shared(Does(lambda x: paddle.nn.functional.relu(x))),
    "an imported relu": lambda: shared(Does(relu)),
    "functional.relu6": lambda: shared(Does(lambda x: functional.relu6(x))),
    "nested": lambda: (nn.Sequential(nn.Sequential(Does(relu))), nn.Sequential(nn.ReLU())),
    "by keyword": lambda: shared(Does(lambda x: functional.relu(x=x))),
    "with a name": lambda: (nn.ReLU(name="first"), Does(lambda x: functional.relu6(x, name="b"))),
}


@each_rule
@pytest.mark.parametrize("written", WRITTEN_AS.values(), ids=WRITTEN_AS.keys())
def test_hand_worked_network(written, rule):
    maps = METHODS[rule](hand_worked(*written()), pixels([1, 2], [1, 2]), [0, 1]).numpy()
    expected = [HAND_WORKED[rule, 0], HAND_WORKED[rule, 1]]
    np.testing.assert_array_equal(maps[:, :, 0, 0], expected)


@each_rule
@pytest.mark.parametrize(
    ("sign", "part"),
    [
        ("signed", lambda m: m),
        ("absolute", abs),
        ("positive", lambda m: np.maximum(m, 0)),
        ("negative", lambda m: np.maximum(-m, 0)),
    ],
)
def test_signs(rule, sign, part):
    """The rules rectify on the way; what reaches the image has both signs."""
    network = hand_worked(nn.ReLU(), nn.ReLU())
    maps = METHODS[rule](network, pixels([1, 2]), 0, sign=sign).numpy()
    np.testing.assert_array_equal(maps.ravel(), part(np.float32(HAND_WORKED[rule, 0])))


def through(rule, gradient, before, ceiling=np.inf):
    """What a ReLU with `before` on its input lets back, as the papers have it."""
    is_open = (before > 0) & (before < ceiling)
    return {
        "gradient": gradient * is_open,
        "guided": np.maximum(gradient, 0) * is_open,
        "deconvnet": np.maximum(gradient, 0),
    }[rule]


@each_rule
@pytest.mark.parametrize("score", ["logit", "probability", "log_probability"])
def test_rules_start_from_the_score(rule, score):
    """A probability sends negative slopes back to the other logits."""
    a, b, v = (np.float64(matrix) for matrix in (A, B, V))
    x, target = np.array([0.4, 0.3]), 1
    first = a @ x
    second = b @ np.maximum(first, 0)
    logits = v @ np.maximum(second, 0)
    p = np.exp(logits) / np.exp(logits).sum()
    one_hot = np.eye(2)[target]
    slope = {"logit": one_hot, "log_probability": one_hot - p}
    slope["probability"] = p[target] * (one_hot - p)
    expected = a.T @ through(rule, b.T @ through(rule, v.T @ slope[score], second), first)
    network = hand_worked(nn.ReLU(), nn.ReLU())
    maps = METHODS[rule](network, pixels(x), target, score=score).numpy()
    np.testing.assert_allclose(maps.ravel(), expected, rtol=1e-5)


@each_rule
def test_convolutions_of_a_whole_image(rule):
    """Against matrices: a convolution is linear, so its columns are what it makes of one pixel."""
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


# Three units of the image (1, 2) with 3, 8 and −1 on their inputs; a fourth has a negative weight.
UNITS = [[1, 1], [4, 2], [-1, 0], [0, 1]]
WEIGHTS = [[1, 1, 1, -1]]


@pytest.mark.parametrize(
    ("activation", "rule", "expected"),
    [
        (nn.ReLU, "gradient", [1 + 4, 1 + 2 - 1]),
        (nn.ReLU, "guided", [1 + 4, 1 + 2]),
        (nn.ReLU, "deconvnet", [1 + 4 - 1, 1 + 2]),
        # 8 is over 6: the second unit no longer changes.
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
def test_on_the_very_edge(activation, expected, rule):
    """0 and 6 themselves are shut, as for the derivative."""
    network = nn.Sequential(nn.Flatten(), activation(), dense([[1, 1, 1, 1]]))
    maps = METHODS[rule](network, pixels([0, 5.9, 6, 7]), 0).numpy()
    np.testing.assert_array_equal(maps.ravel(), expected[rule])


class Twice(nn.Layer):
    """A ReLU's output goes two ways, which both send something back."""

    def forward(self, x):
        y = functional.relu(x).flatten(1)
        one, other = paddle.to_tensor([[3.0, 5, 4], [-5.0, -3, 1]])
        return (y * one).sum(1, keepdim=True) + (y * other).sum(1, keepdim=True)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [("gradient", [-2, 2, 0]), ("guided", [0, 2, 0]), ("deconvnet", [0, 2, 5])],
)
def test_what_comes_back_two_ways_is_summed_before_the_rule(rule, expected):
    maps = METHODS[rule](Twice(), pixels([1, 2, -1]), 0).numpy()
    np.testing.assert_array_equal(maps.ravel(), expected)


class Residual(nn.Layer):
    """relu(y + B y) with y = relu(x): the image (1, 2) gives B y = (2, −3), y + B y = (3, −1)."""

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


WITHOUT_RELU = {
    "linear": nn.Identity,
    "leaky": lambda: nn.LeakyReLU(0.1),
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "swish": nn.Swish,
    "hard swish": nn.Hardswish,
    "hard tanh": nn.Hardtanh,
    "max pooling": lambda: nn.MaxPool2D(2, 1, 1),
}


@pytest.mark.parametrize("activation", WITHOUT_RELU.values(), ids=WITHOUT_RELU.keys())
def test_without_a_relu_all_three_are_the_gradient(activation):
    """Simonyan et al. 2013, section 4: but for the ReLU, deconvnet is the gradient."""
    network = small_net()
    network[1], network[3] = activation(), activation()
    batch = images(2, 9, 8)
    expected = gradient(network, batch, 1).numpy()
    assert expected.min() < 0 < expected.max()
    for method in (guided_backprop, deconvnet):
        np.testing.assert_array_equal(method(network, batch, 1).numpy(), expected)


@pytest.mark.parametrize("method", [guided_backprop, deconvnet])
def test_leaky_relu_lets_everything_back(method):
    network = nn.Sequential(nn.Flatten(), nn.LeakyReLU(0.25), dense([[2, -8, -3]]))
    maps = method(network, pixels([1, -1, 1]), 0).numpy()
    np.testing.assert_array_equal(maps.ravel(), [2, -2, -3])


def test_the_three_differ():
    network, batch = small_net(), images(2, 9, 8)
    maps = {name: method(network, batch, 1).numpy() for name, method in METHODS.items()}
    for one, other in (("gradient", "guided"), ("gradient", "deconvnet"), ("guided", "deconvnet")):
        assert np.abs(maps[one] - maps[other]).max() > 0.1 * np.abs(maps[one]).max()


@pytest.mark.parametrize("rule", ["guided", "deconvnet"])
@pytest.mark.parametrize("activation", [nn.ReLU, nn.ReLU6])
def test_forward_pass_is_the_same(rule, activation):
    network, batch = small_net(), images(2, 9, 8) * 20
    network[1], network[3] = activation(), activation()
    logits = record_forward(network, batch, relu=rule).logits
    np.testing.assert_array_equal(logits.numpy(), network(batch).numpy())


@pytest.mark.parametrize("method", [guided_backprop, deconvnet])
def test_nothing_else_is_affected_afterwards(method):
    """Neither the network's own gradient, nor another network's training."""
    network, other, batch = small_net(), small_net(5), images(2, 9, 8)

    def trained():
        loss = (other(batch) ** 2).sum()
        (step,) = paddle.grad(loss, other[0].weight)
        return step.numpy()

    before, step = gradient(network, batch, 1).numpy(), trained()
    assert np.abs(method(network, batch, 1).numpy() - before).max() > 0
    np.testing.assert_array_equal(gradient(network, batch, 1).numpy(), before)
    np.testing.assert_array_equal(trained(), step)


def slope_of_relu(values, weights):
    """∂ Σ weights · relu(values), by whatever rule is on."""
    values = paddle.to_tensor(np.float32(values), stop_gradient=False)
    (slope,) = paddle.grad((functional.relu(values) * paddle.to_tensor(weights)).sum(), values)
    return slope.numpy().tolist()


def test_rule_holds_within_its_block_only():
    values, weights = [1, 1, -1, -1], [2.0, -2, 2, -2]
    plain, guided, deconvolved = [2, -2, 0, 0], [2, 0, 0, 0], [2, 0, 2, 0]
    assert slope_of_relu(values, weights) == plain
    with relu_rule("guided"):
        assert slope_of_relu(values, weights) == guided
    assert slope_of_relu(values, weights) == plain
    with relu_rule("deconvnet"):
        assert slope_of_relu(values, weights) == deconvolved
        with relu_rule("guided"):
            assert slope_of_relu(values, weights) == guided
        assert slope_of_relu(values, weights) == deconvolved
    with relu_rule(None):
        assert slope_of_relu(values, weights) == plain
    assert slope_of_relu(values, weights) == plain


def test_rule_of_a_recorded_pass_outlives_its_block():
    values = paddle.to_tensor([1.0, 1, -1], stop_gradient=False)
    with relu_rule("deconvnet"):
        score = (functional.relu(values) * paddle.to_tensor([2.0, -2, 2])).sum()
    assert paddle.grad(score, values)[0].numpy().tolist() == [2, 0, 2]


@pytest.mark.parametrize("method", [guided_backprop, deconvnet])
@pytest.mark.parametrize("where", [0, 2, 6])
def test_operations_come_back_after_an_exception_in_the_network(method, where):
    network = small_net()

    def explode(*_):
        assert paddle._C_ops.relu is not OPERATIONS["relu"]  # the rule was on
        assert paddle._C_ops.relu6 is not OPERATIONS["relu6"]
        raise ZeroDivisionError

    network[where].register_forward_pre_hook(explode)
    with pytest.raises(ZeroDivisionError):
        method(network, images(1, 9, 8), 0)
    assert paddle._C_ops.relu is OPERATIONS["relu"]
    assert paddle._C_ops.relu6 is OPERATIONS["relu6"]


def state_of(network):
    layers = network.sublayers(include_self=True)
    hooks = [(len(lay._forward_pre_hooks), len(lay._forward_post_hooks)) for lay in layers]
    frozen = [p.stop_gradient for p in network.parameters()]
    values = [p.numpy().tobytes() for p in network.parameters()]
    return [layer.training for layer in layers], hooks, frozen, values


IN_PLACE = {
    "function": lambda: Does(lambda x: functional.relu_(x)),
    "operation": lambda: Does(lambda x: paddle._C_ops.relu_(x)),
    "an operation kept from before": lambda: Does(OPERATIONS["relu"]),
    "a relu6 kept from before": lambda: Does(OPERATIONS["relu6"]),
}


@pytest.mark.parametrize("rule", ["guided", "deconvnet"])
@pytest.mark.parametrize("where", [1, 3])
@pytest.mark.parametrize("activation", IN_PLACE.values(), ids=IN_PLACE.keys())
def test_relu_out_of_reach_is_an_error(rule, activation, where):
    """One that the rule does not see would quietly give another map."""
    network, batch = small_net(), images(2, 9, 8)
    network.train()
    network[where] = activation()
    before, pixels_before = state_of(network), batch.numpy().tobytes()
    plain = gradient(network, batch, 1).numpy()
    with pytest.raises(VisualizeError, match=rf"{rule} rule .*in place"):
        METHODS[rule](network, batch, 1)
    assert state_of(network) == before and batch.numpy().tobytes() == pixels_before
    np.testing.assert_array_equal(gradient(network, batch, 1).numpy(), plain)


@pytest.mark.parametrize("method", [guided_backprop, deconvnet])
def test_relu_away_from_the_image_does_not_matter(method):
    """In place or not: the score does not reach the image through it."""

    class Aside(nn.Layer):
        def forward(self, x):
            functional.relu_(x * 2)
            return (x * x).sum([1, 2, 3])

    maps = method(Aside(), pixels([3, -2]), 0).numpy()
    np.testing.assert_array_equal(maps.ravel(), [6, -4])


class OwnForward(nn.Layer):
    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, x):
        return self.network[2:](functional.relu(self.network[0](x)))


def compiled_part(network, part, full_graph):
    if part == "inner":
        inner = paddle.jit.to_static(nn.Sequential(*network[:4]), full_graph=full_graph)
        return nn.Sequential(inner, *network[4:])
    whole = OwnForward(network) if part == "own forward" else network
    return paddle.jit.to_static(whole, full_graph=full_graph)


@each_rule
@pytest.mark.parametrize("full_graph", [False, True])
@pytest.mark.parametrize("part", ["whole", "inner", "own forward"])
def test_compiled_network_is_an_error_or_right(rule, part, full_graph):
    """`to_static` may keep operations out of reach; that must not give a wrong map."""
    network, batch = small_net(), images(2, 9, 8)
    expected = METHODS[rule](network, batch, 1).numpy()
    compiled = compiled_part(network, part, full_graph)
    try:
        maps = METHODS[rule](compiled, batch, 1).numpy()
    except VisualizeError:
        return
    except Exception as error:
        pytest.fail(f"{type(error).__name__}: {str(error)[-200:]}", pytrace=False)
    error = np.abs(maps - expected).max() / np.abs(expected).max()
    assert error <= 1e-5


@each_rule
@pytest.mark.parametrize("part", ["whole", "inner"])
def test_loaded_program_is_an_error_or_right(rule, part, tmp_path):
    """What `jit.load` returns has operations, but no layers."""
    network, batch = small_net(), images(2, 9, 8)
    expected = METHODS[rule](network, batch, 1).numpy()
    specification = [paddle.static.InputSpec([None, 3, None, None])]
    paddle.jit.save(small_net(), str(tmp_path / "net"), input_spec=specification)
    loaded = paddle.jit.load(str(tmp_path / "net"))
    try:
        maps = METHODS[rule](nn.Sequential(loaded) if part == "inner" else loaded, batch, 1)
    except VisualizeError:
        return
    error = np.abs(maps.numpy() - expected).max() / np.abs(expected).max()
    assert error <= 1e-5
