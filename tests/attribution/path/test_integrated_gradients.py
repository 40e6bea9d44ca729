"""Integrated gradients equal integrals computed by hand, for every quadrature and option."""

import numpy as np
import paddle
import pytest
from integral_toys import TARGETS, Power, W, assert_exact
from toys import Linear, Quadratic, counting, images

from visualize_pd import VisualizeError, gradient, integrated_gradients
from visualize_pd.attribution.path.integral import QUADRATURES


@pytest.mark.parametrize("quadrature", ["gauss_legendre", "midpoint"])
def test_one_step_is_exact_for_linear_and_quadratic_scores(quadrature):
    batch = images()
    options = {"steps": 1, "quadrature": quadrature}
    maps = integrated_gradients(Linear(W), batch, TARGETS, **options).numpy()
    assert_exact(maps, W[TARGETS] * batch.numpy())
    maps = integrated_gradients(Quadratic(W), batch, TARGETS, **options).numpy()
    assert_exact(maps, W[TARGETS] * batch.numpy() ** 2 / 2)


@pytest.mark.parametrize("steps", [2, 3, 50])
@pytest.mark.parametrize("power", [1, 2, 3, 4])
def test_two_gauss_legendre_steps_are_exact_up_to_the_fourth_power(power, steps):
    batch = images()
    maps = integrated_gradients(Power(W, power), batch, TARGETS, steps=steps).numpy()
    assert_exact(maps, W[TARGETS] * batch.numpy().astype("float64") ** power)


def test_too_few_gauss_legendre_steps_give_the_known_error():
    """One step for x³ gives 3 w (x/2)² · x = ¾ w x³ in place of w x³.

    Two steps are too few for x⁵, whose gradient along the path is 5 w α⁴ x⁴. The nodes are
    α = (1 ± r)/2 with r² = 1/3. The mean of α⁴ there is (1 + 6 r² + r⁴)/16 = 7/36, not 1/5.
    """
    batch = images()
    maps = integrated_gradients(Power(W, 3), batch, TARGETS, steps=1).numpy()
    assert_exact(maps, 0.75 * W[TARGETS] * batch.numpy() ** 3)
    maps = integrated_gradients(Power(W, 5), batch, TARGETS, steps=2).numpy()
    assert_exact(maps, 5 * 7 / 36 * W[TARGETS] * batch.numpy() ** 5)


def test_one_step_is_half_of_gradient_times_input():
    """For a quadratic score. So the factor (I − I′) is there, and the node is at α = ½."""
    batch = images()
    at_image = gradient(Quadratic(W), batch, TARGETS)
    maps = integrated_gradients(Quadratic(W), batch, TARGETS, steps=1)
    assert_exact(maps.numpy(), (batch * at_image / 2).numpy())


class Exponential(Linear):
    """S_c(I) = Σ w_c · exp(I)."""

    def forward(self, batch):
        return super().forward(batch.exp())


# Quadrature and steps → its nodes and weights on [0, 1].
ROOT = np.sqrt(3 / 5) / 2
BY_HAND = {
    ("gauss_legendre", 3): ([0.5 - ROOT, 0.5, 0.5 + ROOT], [5 / 18, 8 / 18, 5 / 18]),
    ("midpoint", 4): ([1 / 8, 3 / 8, 5 / 8, 7 / 8], [1 / 4] * 4),
    ("trapezoid", 2): ([0, 1], [1 / 2] * 2),
    ("trapezoid", 5): ([0, 1 / 4, 2 / 4, 3 / 4, 1], [1 / 8, 1 / 4, 1 / 4, 1 / 4, 1 / 8]),
}


@pytest.mark.parametrize(("quadrature", "steps"), BY_HAND)
def test_map_equals_the_weighted_sum_over_the_nodes(quadrature, steps):
    batch = images()
    start = images(seed=8)
    x, b = (tensor.numpy().astype("float64") for tensor in (batch, start))
    expected = np.zeros_like(x)
    for alpha, weight in zip(*BY_HAND[quadrature, steps]):
        expected += weight * (x - b) * W[TARGETS] * np.exp(b + alpha * (x - b))
    maps = integrated_gradients(
        *(Exponential(W), batch, TARGETS), baseline=start, steps=steps, quadrature=quadrature
    )
    assert_exact(maps.numpy(), expected)


@pytest.mark.parametrize(("quadrature", "steps"), BY_HAND)
def test_nodes_and_weights_by_hand(quadrature, steps):
    for actual, expected in zip(QUADRATURES[quadrature](steps), BY_HAND[quadrature, steps]):
        np.testing.assert_allclose(actual, expected, atol=1e-14)


@pytest.mark.parametrize("steps", [1, 2, 3, 50, 301])
@pytest.mark.parametrize("quadrature", QUADRATURES)
def test_nodes_and_weights_of_every_quadrature(quadrature, steps):
    if (quadrature, steps) == ("trapezoid", 1):
        pytest.skip("the trapezoid rule needs both ends of the path")
    nodes, node_weights = QUADRATURES[quadrature](steps)
    assert nodes.shape == node_weights.shape == (steps,)
    assert nodes.min() >= 0 and nodes.max() <= 1 and (np.diff(nodes) > 0).all()
    assert node_weights.min() > 0 and abs(node_weights.sum() - 1) < 1e-12
    assert abs((nodes * node_weights).sum() - 1 / 2) < 1e-12  # exact for linear functions


Counting = counting(Exponential)


@pytest.mark.parametrize(
    ("batch_size", "sizes"),
    [(1, [2] * 7), (2, [2] * 7), (5, [2, 4, 4, 4]), (6, [4, 4, 6]), (14, [14]), (100, [14])],
)
def test_batch_size_changes_memory_only(batch_size, sizes):
    batch, network = images(), Counting(W)
    expected = integrated_gradients(Exponential(W), batch, TARGETS, steps=7).numpy()
    maps = integrated_gradients(network, batch, TARGETS, steps=7, batch_size=batch_size).numpy()
    assert_exact(maps, expected)
    assert network.sizes == sizes


def test_top_class_of_the_image_is_kept_along_the_path():
    """Class 1 has the highest score up to α = ½. The image itself is of class 0."""
    w = np.float32([3, 1]).reshape(2, 1, 1, 1)

    class Biased(Linear):
        def forward(self, batch):
            return super().forward(batch) + paddle.to_tensor([0.0, 1])

    network, image = Biased(w), paddle.ones([1, 1, 1, 1])
    assert [int(network(image * a).argmax()) for a in (0, 0.4, 0.6, 1)] == [1, 1, 0, 0]
    maps = integrated_gradients(network, image).numpy()
    np.testing.assert_allclose(maps.ravel(), [3], rtol=1e-6)


def test_map_sums_to_the_difference_of_the_chosen_score():
    network, batch = Linear(W), images() * 0.1
    for score in ("probability", "log_probability"):
        maps, gap = integrated_gradients(network, batch, TARGETS, score=score, return_gap=True)
        p = np.exp(network(batch).numpy().astype("float64"))
        p = (p / p.sum(1, keepdims=True))[[0, 1], TARGETS]
        difference = p - 1 / 3 if score == "probability" else np.log(p) - np.log(1 / 3)
        np.testing.assert_allclose(maps.numpy().sum((1, 2, 3)), difference, rtol=1e-5)
        np.testing.assert_allclose(gap.numpy(), 0, atol=2e-6)


def test_sign_and_channel_are_applied_to_the_integral():
    """On the path from −x/2 to x the gradient changes its sign. The integral has one sign."""
    batch = images()
    signed = W[TARGETS] * batch.numpy() ** 2 * (1 - 1 / 4) / 2
    maps = integrated_gradients(
        *(Quadratic(W), batch, TARGETS), baseline=batch * -0.5, channel="sum", sign="absolute"
    )
    assert_exact(maps.numpy(), np.abs(signed).sum(1, keepdims=True))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "steps"),
        ({"steps": -1}, "steps"),
        ({"steps": True}, "steps"),
        ({"steps": 2.0}, "steps"),
        ({"steps": "2"}, "steps"),
        ({"quadrature": "trapezoid", "steps": 1}, "trapezoid.*2 steps"),
        ({"quadrature": "simpson"}, "'simpson'.*gauss_legendre, midpoint, trapezoid"),
        ({"quadrature": None}, "quadrature"),
        ({"baseline": "black"}, "'black'.*zero, mean, blurred"),
        ({"baseline": None}, "baseline"),
        ({"baseline": 0}, "baseline"),
        ({"baseline": paddle.zeros([3, 3, 5, 7])}, "baseline"),
        ({"baseline": paddle.zeros([2, 3, 7, 5])}, "baseline"),
        ({"baseline": paddle.zeros([2, 1, 5, 7])}, "baseline"),
        ({"baseline": paddle.zeros([3, 5, 7])}, "baseline"),
        ({"baseline": paddle.zeros([1])}, "baseline"),
        ({"baseline": "random", "draws": 0}, "draws"),
        ({"baseline": "random", "draws": True}, "draws"),
        ({"baseline": "random", "draws": 1.5}, "draws"),
        ({"batch_size": 0}, "batch_size"),
        ({"batch_size": -1}, "batch_size"),
        ({"batch_size": True}, "batch_size"),
        ({"batch_size": 2.5}, "batch_size"),
        ({"seed": -1}, "seed"),
        ({"seed": True}, "seed"),
        ({"seed": 0.5}, "seed"),
        ({"score": "odds"}, "'odds'"),
        ({"channel": "mean"}, "'mean'"),
        ({"sign": "minus"}, "'minus'"),
    ],
    ids=lambda value: str(value)[:40].replace("\n", " "),
)
def test_wrong_options(options, message):
    with pytest.raises(VisualizeError, match=message):
        integrated_gradients(Linear(W), images(), TARGETS, **options)
