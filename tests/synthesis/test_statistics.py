"""The statistics prior, compared with the equation by hand, and with finite differences."""

import numpy as np
import paddle
import pytest
from paddle import nn

from visualize_pd import class_image
from visualize_pd.core.errors import ConfigError
from visualize_pd.network.hooks import frozen
from visualize_pd.synthesis.builder import AUTO_WEIGHT, statistics_weight
from visualize_pd.synthesis.priors.statistics import EPSILON, LIMIT, Statistics
from visualize_pd.synthesis.settings import Priors


def normalised(layer, mean, variance):
    """A normalisation layer with these running values, and a weight and a bias that are not 1."""
    layer.eval()
    layer._mean.set_value(np.asarray(mean, "float32"))
    layer._variance.set_value(np.asarray(variance, "float32"))
    layer.weight.set_value(np.linspace(0.5, 1.5, len(mean)).astype("float32"))
    layer.bias.set_value(np.linspace(-0.3, 0.4, len(mean)).astype("float32"))
    return layer


def two_layers():
    """Two normalisation layers of two channels, with a convolution and a ReLU between them."""
    paddle.seed(3)
    return nn.Sequential(
        normalised(nn.BatchNorm2D(2), [0.1, -0.2], [1.5, 0.4]),
        nn.Conv2D(2, 2, 3, padding=1),
        nn.ReLU(),
        normalised(nn.BatchNorm2D(2), [0.3, 0.2], [0.2, 0.6]),
        nn.Flatten(),
        nn.Linear(2 * 6 * 5, 3),
    )


def images(count=2, seed=0):
    values = np.random.default_rng(seed).normal(0.2, 0.9, (count, 2, 6, 5))
    return paddle.to_tensor(values.astype("float32"))


def by_hand(values, mean, variance):
    """The mean over the channels of the divergence of two Gaussians, for each image."""
    values = values.astype("float64")
    m, v = values.mean(axis=(2, 3)), values.var(axis=(2, 3))
    ratio = (v + EPSILON) / (np.asarray(variance) + EPSILON)
    distance = (m - np.asarray(mean)) ** 2 / (np.asarray(variance) + EPSILON)
    each = 0.5 * (ratio + distance - 1 - np.log(ratio))
    return np.minimum(each, LIMIT).mean(axis=1)


def divergence(statistics, network, batch):
    with frozen(network), statistics.watch():
        network(batch)
    return statistics.divergence()


@pytest.mark.usefixtures("fast_and_plain")
@pytest.mark.parametrize(("first", "last"), [(1, 1), (5, 0), (2, 0.25)])
def test_divergence_by_hand(first, last):
    network, batch = two_layers(), images()
    found = divergence(Statistics(network, 1.0, first, last), network, batch)
    inner = nn.Sequential(*list(network)[:3])(batch).numpy()
    expected = first * by_hand(batch.numpy(), [0.1, -0.2], [1.5, 0.4])
    expected = expected + last * by_hand(inner, [0.3, 0.2], [0.2, 0.6])
    np.testing.assert_allclose(found.numpy(), expected, rtol=2e-5)


def test_a_channel_counts_twenty_at_most():
    layer = normalised(nn.BatchNorm2D(2), [0.0, 0.0], [1.0, 1e-6])
    network = nn.Sequential(layer)
    found = divergence(Statistics(network, 1.0), network, images(1)).numpy()
    ordinary = by_hand(images(1).numpy()[:, :1], [0.0], [1.0])
    np.testing.assert_allclose(found, (ordinary + LIMIT) / 2, rtol=1e-5)


def test_it_is_zero_for_images_with_the_running_statistics():
    batch = images(1, seed=4)
    values = batch.numpy().astype("float64")
    layer = normalised(nn.BatchNorm2D(2), values.mean((0, 2, 3)), values.var((0, 2, 3)))
    network = nn.Sequential(layer)
    batch.stop_gradient = False
    found = divergence(Statistics(network, 1.0), network, batch)
    np.testing.assert_allclose(found.numpy(), 0, atol=1e-6)
    found.sum().backward()
    np.testing.assert_allclose(batch.grad.numpy(), 0, atol=1e-6)


@pytest.mark.parametrize("kind", ["NCHW", "NHWC", "NCL"])
def test_gradient_by_finite_differences(kind):
    """Through all layers, in single precision against differences in double precision by hand."""
    random = np.random.default_rng(1)
    if kind == "NCL":
        layer, shape = normalised(nn.BatchNorm1D(2), [0.3, 0.1], [0.5, 0.7]), (1, 2, 12)
    elif kind == "NHWC":
        layer = normalised(nn.BatchNorm2D(2, data_format="NHWC"), [0.3, 0.1], [0.5, 0.7])
        shape = (1, 4, 3, 2)
    else:
        layer, shape = normalised(nn.BatchNorm2D(2), [0.3, 0.1], [0.5, 0.7]), (1, 2, 4, 3)
    values = random.normal(0, 1, shape)

    def of(numbers):
        channels = np.moveaxis(numbers, -1, 1) if kind == "NHWC" else numbers
        return by_hand(channels.reshape(1, 2, -1, 1), [0.3, 0.1], [0.5, 0.7])[0]

    expected = np.zeros(shape)
    for place in np.ndindex(*shape):
        step = np.zeros(shape)
        step[place] = 1e-6
        expected[place] = (of(values + step) - of(values - step)) / 2e-6
    batch = paddle.to_tensor(values.astype("float32"), stop_gradient=False)
    network = nn.Sequential(layer)
    divergence(Statistics(network, 1.0), network, batch).sum().backward()
    np.testing.assert_allclose(batch.grad.numpy(), expected, atol=2e-6)


@pytest.mark.usefixtures("fast_and_plain")
def test_gradient_of_score_and_prior_together():
    """Paddle differentiates the same thing, written in its own operations."""
    network, batch = two_layers(), images()
    statistics = Statistics(network, 0.7, 5, 0.5)
    batch.stop_gradient = False
    with frozen(network):
        with statistics.watch():
            scores = network(batch)
        (statistics.penalty() - scores[:, 1].sum()).backward()
    other = batch.detach()
    other.stop_gradient = False
    layers = list(network)
    loss, x = 0.0, other
    for number, layer in enumerate(layers):
        if isinstance(layer, nn.BatchNorm2D):
            weight = 0.7 * (5 if number == 0 else 0.5)
            mean, variance = x.mean(axis=[2, 3]), x.var(axis=[2, 3], unbiased=False)
            ratio = (variance + EPSILON) / (layer._variance + EPSILON)
            distance = (mean - layer._mean) ** 2 / (layer._variance + EPSILON)
            each = 0.5 * (ratio + distance - 1 - paddle.log(ratio))
            loss = loss + weight * paddle.clip(each, max=LIMIT).mean(axis=1).sum()
        x = layer(x)
    (loss - x[:, 1].sum()).backward()
    np.testing.assert_allclose(batch.grad.numpy(), other.grad.numpy(), atol=2e-6)


def test_an_image_is_the_same_alone_and_in_a_batch():
    network, batch = two_layers(), images(3)
    statistics = Statistics(network, 1.0, 5, 0.3)
    together = divergence(statistics, network, batch).numpy()
    alone = [divergence(statistics, network, batch[n : n + 1]).numpy()[0] for n in range(3)]
    np.testing.assert_allclose(together, alone, rtol=1e-6)


def test_a_network_is_as_before_also_after_an_error():
    network = two_layers()
    own = network[3].forward
    network[0].forward = patched = lambda x: type(network[0]).forward(network[0], x)
    with pytest.raises(ZeroDivisionError), Statistics(network, 1.0).watch():
        assert network[3].forward != own
        raise ZeroDivisionError
    assert network[0].forward is patched and "forward" not in network[3].__dict__


def test_the_prior_makes_statistics_nearer():
    """Class images with the prior and without it, of the same network."""
    network, start = two_layers(), images(1, seed=2)
    common = {"init": start, "iterations": 30, "shift": 0, "total_variation": 0}
    statistics = Statistics(network, 1.0, 5, 0)
    ends = []
    for weight in (0.0, 5.0):
        *_, last = class_image(network, 1, statistics=weight, **common)
        ends.append(divergence(statistics, network, last.image).item())
    assert ends[1] < 0.1 * ends[0]


def test_a_network_without_batch_normalisation():
    plain = nn.Sequential(nn.Conv2D(3, 2, 1), nn.Flatten(), nn.Linear(8, 2))
    with pytest.raises(ConfigError, match="needs batch normalisation, which Sequential does not"):
        next(class_image(plain, 1, statistics=1.0))
    assert statistics_weight(plain, Priors(statistics="auto")) == 0
    assert statistics_weight(two_layers(), Priors(statistics="auto")) == AUTO_WEIGHT
    with pytest.raises(ConfigError, match=r"unknown priors\.statistics"):
        statistics_weight(plain, Priors(statistics="always"))


def test_norms_by_hand():
    """The form that DeepInversion has published: ‖μ − μ̂‖ + ‖σ² − σ̂²‖ of each layer."""
    network, batch = two_layers(), images()
    found = divergence(Statistics(network, 1.0, 10.0, 0.5, "norms"), network, batch)
    inner = nn.Sequential(*list(network)[:3])(batch).numpy()
    expected = 0.0
    for weight, values, mean, variance in (
        (10.0, batch.numpy(), [0.1, -0.2], [1.5, 0.4]),
        (0.5, inner, [0.3, 0.2], [0.2, 0.6]),
    ):
        values = values.astype("float64")
        means = np.linalg.norm(values.mean(axis=(2, 3)) - mean, axis=1)
        variances = np.linalg.norm(values.var(axis=(2, 3)) - variance, axis=1)
        expected = expected + weight * (means + variances)
    np.testing.assert_allclose(found.numpy(), expected, rtol=2e-4)


def test_passes_without_gradients_are_not_recorded():
    network, batch = two_layers(), images()
    statistics = Statistics(network, 1.0)
    with frozen(network), statistics.watch():
        network(batch)
        with paddle.no_grad():
            network(batch * 9)
    expected = divergence(Statistics(network, 1.0), network, batch)
    np.testing.assert_array_equal(statistics.divergence().numpy(), expected.numpy())
