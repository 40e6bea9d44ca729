"""Relevance and multipliers against slow computations by the definitions, and conservation."""

import numpy as np
import paddle
import pytest
from paddle import nn
from paddle.nn import functional
from relevance_network import Residual, images, random, weights
from slow_relevance import Slow, slow_lrp
from toys import Linear
from toys import weights as class_weights

from visualize_pd import deep_lift, lrp, scores
from visualize_pd.attribution.relevance.rules import COMPOSITES

pytestmark = pytest.mark.usefixtures("fast_and_plain")
SETTINGS = {"epsilon": 0.3, "gamma": 0.7, "alpha": 2.5, "low": -4.0, "high": 5.0}


def close(found, expected, tolerance=1e-5):
    found, expected = np.asarray(found), np.asarray(expected)
    assert np.abs(expected).max() > 0
    assert np.abs(found - expected).max() <= tolerance * np.abs(expected).max()


def linear(inputs, outputs, seed):
    layer = nn.Linear(inputs, outputs)
    layer.weight.set_value(random((inputs, outputs), seed))
    layer.bias.set_value(random(outputs, seed + 1))
    return layer, (layer.weight.numpy().T.astype("float64"), layer.bias.numpy().astype("float64"))


@pytest.mark.parametrize("composite", COMPOSITES)
@pytest.mark.parametrize("target", [0, 2])
def test_every_composite_has_the_shares_of_its_rules(composite, target):
    """Three layers with biases. The last BatchNorm stands alone, because a ReLU is before it."""
    first, affine = linear(12, 7, 1)
    last, affine_last = linear(7, 3, 43)
    norm = nn.BatchNorm1D(7)
    norm.weight.set_value(1 + random(7, 5, 0.3))
    norm.bias.set_value(random(7, 6))
    norm._mean.set_value(random(7, 7))
    norm._variance.set_value(1 + random(7, 8) ** 2)
    factor = norm.weight.numpy() / np.sqrt(norm._variance.numpy() + 1e-5, dtype="float64")
    shift = norm.bias.numpy() - norm._mean.numpy() * factor
    network = nn.Sequential(nn.Flatten(), first, nn.ReLU(), norm, nn.ReLU(), last)
    image = random((1, 3, 2, 2), 9)
    maps = lrp(network, paddle.to_tensor(image), target, composite=composite, **SETTINGS)
    layers = [affine, (np.diag(factor), shift), affine_last]
    rules = [rule.__name__ for rule in COMPOSITES[composite]]
    expected = slow_lrp(layers, rules, image.ravel().astype("float64"), target, SETTINGS)
    close(maps.numpy().ravel(), expected)


@pytest.mark.parametrize("image", [0, 1])
@pytest.mark.parametrize("scale", [0.0, 0.5])
def test_multipliers_are_those_of_the_rescale_rule(image, scale):
    """Also for max pooling and a ReLU6. A baseline of 0 has several maxima in a window."""
    batch = images()[image : image + 1]
    start = batch[:, :, ::-1] * np.float32(scale)
    maps, gap = deep_lift(
        *(Residual(), paddle.to_tensor(batch), 2),
        baseline=paddle.to_tensor(np.ascontiguousarray(start)),
        return_gap=True,
    )
    close(maps.numpy()[0], Slow(weights(), batch.shape[1:]).deep_lift(batch[0], start[0], 2))
    assert abs(float(gap[0])) < 1e-5


def test_equal_numbers_have_the_slope_of_the_function():
    """With the image itself as baseline in half of the pixels: m = f′ there."""
    layer = nn.Linear(4, 4, bias_attr=False)
    layer.weight.set_value(np.eye(4, dtype="float32"))
    mixed = nn.Linear(4, 2, bias_attr=False)
    mixed.weight.set_value(random((4, 2), 1))
    network = nn.Sequential(nn.Flatten(), mixed, nn.Tanh(), nn.Linear(2, 1, bias_attr=False))
    image = random((1, 1, 2, 2), 2)
    x = image.ravel() @ mixed.weight.numpy()
    moved = image.ravel() + np.linalg.svd(mixed.weight.numpy().T)[2][-1]  # the same sums
    start = paddle.to_tensor(moved.reshape(1, 1, 2, 2).astype("float32"))
    maps = deep_lift(network, paddle.to_tensor(image), 0, baseline=start).numpy().ravel()
    slope = network[3].weight.numpy()[:, 0] * (1 - np.tanh(x) ** 2)
    close(maps, (image.ravel() - moved) * (mixed.weight.numpy() @ slope), 1e-3)


WAYS = {
    "a * b": lambda a, b: a * b,
    "multiply(a, b)": paddle.multiply,
    "multiply(a, y=b)": lambda a, b: paddle.multiply(a, y=b),
    "multiply(x=a, y=b)": lambda a, b: paddle.multiply(x=a, y=b),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_product_has_the_mean_of_the_other_factor(way):
    """½ Σ w I²: the map is ½ w (I² − I′²)."""
    w, batch = class_weights(), paddle.to_tensor(random((2, 3, 5, 7), 1))
    start = random((1, 3, 5, 7), 2)

    class Squares(Linear):
        def forward(self, images):
            return super().forward(WAYS[way](images, images)) / 2

    maps = deep_lift(Squares(w), batch, 1, baseline=paddle.to_tensor(start))
    close(maps.numpy(), w[1] * (batch.numpy() ** 2 - start**2) / 2)


@pytest.mark.parametrize("way", WAYS)
def test_factors_of_a_product_get_half_of_the_relevance_each(way):
    """z = Σ v (W x) (U x): half of it is shared by the contributions to W x, half by those to U x.

    Without the halves the map would sum to twice the score.
    """
    first, second, last = (random((12, 5), seed) for seed in (1, 2, 3))
    last = last[:5, :1]
    x = random((1, 3, 2, 2), 4)

    class Product(nn.Layer):
        def forward(self, batch):
            flat = batch.flatten(1)
            one, two = (functional.linear(flat, paddle.to_tensor(w)) for w in (first, second))
            return functional.linear(WAYS[way](one, two), paddle.to_tensor(last))

    maps = lrp(Product(), paddle.to_tensor(x), 0, composite="epsilon", epsilon=0.0)
    flat = x.ravel().astype("float64")
    one, two = flat @ first, flat @ second
    shared = (first * two + second * one) @ last[:, 0] / 2
    close(maps.numpy().ravel(), flat * shared, 1e-4)


class Gated(nn.Layer):
    """Squeeze and excitation, with max and average pooling, a hardswish and a residual sum."""

    def __init__(self, gate=None):
        super().__init__()
        paddle.seed(4)
        self.conv = nn.Conv2D(3, 6, 3, bias_attr=False)
        self.squeeze = nn.Conv2D(6, 6, 1)
        self.right = nn.Conv2D(6, 6, 3, padding=1, bias_attr=False)
        self.out = nn.Linear(12, 4, bias_attr=False)
        self.gate = gate

    def forward(self, batch):
        maps = functional.max_pool2d(functional.hardswish(self.conv(batch)), 2)
        self.seen = gate = functional.sigmoid(self.squeeze(maps.mean([2, 3], keepdim=True)))
        maps = maps * (gate if self.gate is None else self.gate)
        maps = maps + functional.relu6(self.right(maps))
        pools = functional.adaptive_avg_pool2d, functional.adaptive_max_pool2d
        return self.out(paddle.concat([pool(maps, 1) for pool in pools], 1).flatten(1))


@pytest.mark.parametrize("composite", COMPOSITES)
def test_relevance_is_conserved_without_biases(composite):
    batch = paddle.to_tensor(images())
    network = Gated()
    options = {"composite": composite, "epsilon": 0.0}
    maps, gap = lrp(network, batch, [1, 3], **options, return_gap=True)
    logits = network(batch).numpy()[[0, 1], [1, 3]]
    close(maps.sum([1, 2, 3]).numpy(), logits, 1e-4)
    assert np.abs(gap.numpy()).max() <= 1e-4 * np.abs(logits).max()


def test_gate_is_a_constant():
    batch, network = paddle.to_tensor(images()), Gated()
    network(batch)
    constant = Gated(gate=network.seen.detach())
    close(lrp(network, batch, 1).numpy(), lrp(constant, batch, 1).numpy(), 1e-6)
    _, gap = deep_lift(network, batch, 1, baseline="blurred", return_gap=True)
    assert np.abs(gap.numpy()).max() < 1e-5


def test_gap_is_what_biases_take():
    """z = w x + b with b = 3 and the rule epsilon: the pixels get (z − 3) / z of z."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 1))
    network[1].bias.set_value(np.float32([3]))
    batch = paddle.to_tensor(random((1, 3, 2, 2), 3))
    maps, gap = lrp(network, batch, composite="epsilon", epsilon=0.0, return_gap=True)
    np.testing.assert_allclose(gap.numpy(), [-3], rtol=1e-5)
    close(maps.numpy().ravel(), batch.numpy().ravel() * network[1].weight.numpy()[:, 0])


@pytest.mark.parametrize("method", [lrp, deep_lift])
def test_contrast_of_classes_is_the_difference_of_their_maps(method):
    """The second class stays the same for the baseline, where another one may be the likeliest."""
    batch, network = paddle.to_tensor(images()), Residual()
    ranked = (-network(batch).numpy()).argsort(1)
    maps, gap = method(network, batch, score=scores.contrast("top1"), return_gap=True)
    (one, gap_one), (two, gap_two) = (
        method(network, batch, ranked[:, place], return_gap=True) for place in (0, 1)
    )
    close(maps.numpy(), (one - two).numpy())
    np.testing.assert_allclose(gap.numpy(), (gap_one - gap_two).numpy(), atol=5e-6)


@pytest.mark.parametrize("method", [lrp, deep_lift])
def test_function_of_the_output_is_the_start(method):
    batch, network = paddle.to_tensor(images()), Residual()

    def contrast(outputs, images):
        return outputs[:, 1] - outputs[:, 2] / 2

    maps, gap = method(network, batch, score=contrast, return_gap=True)
    (one, gap_one), (two, gap_two) = (
        method(network, batch, target, return_gap=True) for target in (1, 2)
    )
    close(maps.numpy(), (one - two / 2).numpy())
    np.testing.assert_allclose(gap.numpy(), (gap_one - gap_two / 2).numpy(), atol=5e-6)


def test_black_pixels_get_relevance_by_the_flat_and_the_box_rule():
    """x = 0 has no multiplier R / x. The rules give such a pixel as much as any other."""
    batch = random((1, 3, 2, 2), 5)
    batch[0, :, 0, 1] = 0
    layer, affine = linear(12, 3, 6)
    network, image = nn.Sequential(nn.Flatten(), layer), paddle.to_tensor(batch)
    for composite, rule in (("epsilon_plus_flat", "flat"), ("epsilon_gamma_box", "z_box")):
        maps = lrp(network, image, 1, composite=composite, **SETTINGS).numpy()
        pixels = batch.ravel().astype("float64")
        close(maps.ravel(), slow_lrp([affine], [rule], pixels, 1, SETTINGS))
        assert np.abs(maps[0, :, 0, 1]).min() > 0
