"""Integrated gradients: integrals by hand, quadratures, baselines and the completeness gap."""

import logging

import numpy as np
import paddle
import pytest
from tiny import small_net
from toys import Linear, Quadratic, counting, images, weights

from visualize_pd import VisualizeError, gradient, integrated_gradients
from visualize_pd.attribution.baselines import blurred, make_baseline, uniform
from visualize_pd.attribution.gradient.integrated_gradients import QUADRATURES

W = weights()
TARGETS = [2, 1]


class Power(Linear):
    """S_c(I) = Σ w_c · I^n: from zero its integrated gradients are w_c · I^n."""

    def __init__(self, w, power):
        super().__init__(w)
        self.power = power

    def forward(self, batch):
        powers = batch
        for _ in range(self.power - 1):
            powers = powers * batch
        return super().forward(powers)


def exactly(actual, expected):
    """Up to rounding, of each value and of the largest."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6 * np.abs(expected).max())


@pytest.mark.parametrize("quadrature", ["gauss_legendre", "midpoint"])
def test_one_step_for_a_linear_and_a_quadratic_score(quadrature):
    batch = images()
    options = {"steps": 1, "quadrature": quadrature}
    maps = integrated_gradients(Linear(W), batch, TARGETS, **options).numpy()
    exactly(maps, W[TARGETS] * batch.numpy())
    maps = integrated_gradients(Quadratic(W), batch, TARGETS, **options).numpy()
    exactly(maps, W[TARGETS] * batch.numpy() ** 2 / 2)


@pytest.mark.parametrize("steps", [2, 3, 50])
@pytest.mark.parametrize("power", [1, 2, 3, 4])
def test_two_steps_of_gauss_legendre_for_a_gradient_of_the_third_degree(power, steps):
    batch = images()
    maps = integrated_gradients(Power(W, power), batch, TARGETS, steps=steps).numpy()
    exactly(maps, W[TARGETS] * batch.numpy().astype("float64") ** power)


def test_one_step_is_too_few_for_a_cube():
    """3 w (x/2)² · x in place of w x³. And two are too few for x⁵, whose gradient is 5 w α⁴ x⁴.

    The mean of α⁴ at (1 ± r)/2 with r² = 1/3 is (1 + 6 r² + r⁴)/16 = 7/36, not 1/5.
    """
    batch = images()
    maps = integrated_gradients(Power(W, 3), batch, TARGETS, steps=1).numpy()
    exactly(maps, 0.75 * W[TARGETS] * batch.numpy() ** 3)
    maps = integrated_gradients(Power(W, 5), batch, TARGETS, steps=2).numpy()
    exactly(maps, 5 * 7 / 36 * W[TARGETS] * batch.numpy() ** 5)


class Exponential(Linear):
    """S_c(I) = Σ w_c · exp(I)."""

    def forward(self, batch):
        return super().forward(batch.exp())


ROOT = np.sqrt(3 / 5) / 2
BY_HAND = {
    ("gauss_legendre", 3): ([0.5 - ROOT, 0.5, 0.5 + ROOT], [5 / 18, 8 / 18, 5 / 18]),
    ("midpoint", 4): ([1 / 8, 3 / 8, 5 / 8, 7 / 8], [1 / 4] * 4),
    ("trapezoid", 2): ([0, 1], [1 / 2] * 2),
    ("trapezoid", 5): ([0, 1 / 4, 2 / 4, 3 / 4, 1], [1 / 8, 1 / 4, 1 / 4, 1 / 4, 1 / 8]),
}


@pytest.mark.parametrize(("quadrature", "steps"), BY_HAND)
def test_quadrature_against_a_sum(quadrature, steps):
    batch = images()
    start = images(seed=8)
    x, b = (tensor.numpy().astype("float64") for tensor in (batch, start))
    expected = np.zeros_like(x)
    for alpha, weight in zip(*BY_HAND[quadrature, steps]):
        expected += weight * (x - b) * W[TARGETS] * np.exp(b + alpha * (x - b))
    maps = integrated_gradients(
        *(Exponential(W), batch, TARGETS), baseline=start, steps=steps, quadrature=quadrature
    )
    exactly(maps.numpy(), expected)


@pytest.mark.parametrize(("quadrature", "steps"), BY_HAND)
def test_nodes_and_weights_by_hand(quadrature, steps):
    for actual, expected in zip(QUADRATURES[quadrature](steps), BY_HAND[quadrature, steps]):
        np.testing.assert_allclose(actual, expected, atol=1e-14)


@pytest.mark.parametrize("steps", [1, 2, 3, 50, 301])
@pytest.mark.parametrize("quadrature", QUADRATURES)
def test_nodes_and_weights_lie_in_the_interval(quadrature, steps):
    if (quadrature, steps) == ("trapezoid", 1):
        pytest.skip("needs both ends")
    nodes, shares = QUADRATURES[quadrature](steps)
    assert nodes.shape == shares.shape == (steps,)
    assert nodes.min() >= 0 and nodes.max() <= 1 and (np.diff(nodes) > 0).all()
    assert shares.min() > 0 and abs(shares.sum() - 1) < 1e-12
    assert abs((nodes * shares).sum() - 1 / 2) < 1e-12  # each of them is exact for a line


# What the quadratures miss of ∫ 3 α² dα = 1 in n steps.
MISSED = {
    "gauss_legendre": lambda n: -1 / 4 if n == 1 else 0,
    "midpoint": lambda n: -1 / (4 * n**2),
    "trapezoid": lambda n: 1 / (2 * (n - 1) ** 2),
}


@pytest.mark.parametrize("quadrature", MISSED)
@pytest.mark.parametrize("steps", [1, 2, 4, 6])
def test_completeness_gap(quadrature, steps):
    """With its sign: negative where the map sums to less than the score's difference."""
    if (quadrature, steps) == ("trapezoid", 1):
        pytest.skip("needs both ends")
    batch = images()
    whole = (W[TARGETS] * batch.numpy().astype("float64") ** 3).sum((1, 2, 3))
    options = {"steps": steps, "quadrature": quadrature}
    maps, gap = integrated_gradients(Power(W, 3), batch, TARGETS, **options, return_gap=True)
    missed = MISSED[quadrature](steps)
    exactly(maps.numpy(), (1 + missed) * W[TARGETS] * batch.numpy() ** 3)
    assert gap.shape == [2]
    np.testing.assert_allclose(gap.numpy(), missed * whole, rtol=1e-4, atol=2e-5)


def test_gap_is_that_of_the_map_before_it_is_reduced():
    network, batch = Power(W, 3), images()
    options = {"steps": 2, "quadrature": "midpoint", "return_gap": True}
    _, expected = integrated_gradients(network, batch, TARGETS, **options)
    maps, gap = integrated_gradients(
        network, batch, TARGETS, **options, sign="positive", channel="max"
    )
    assert maps.shape == [2, 1, 5, 7]
    np.testing.assert_array_equal(gap.numpy(), expected.numpy())


@pytest.fixture
def warned(caplog, monkeypatch):
    """The texts of what was logged as a warning or worse."""
    monkeypatch.setattr(logging.getLogger("visualize_pd"), "propagate", True)
    caplog.set_level(logging.INFO, logger="visualize_pd")
    return lambda: [
        record.getMessage()
        for record in caplog.records
        if record.name == "visualize_pd" and record.levelno >= logging.WARNING
    ]


@pytest.mark.parametrize(
    ("quadrature", "steps", "gap"),
    [
        ("midpoint", 4, -1.5),  # 96/64
        ("midpoint", 6, None),  # 0.7 %
        ("trapezoid", 8, 0.98),  # 96/98
        ("trapezoid", 9, None),  # 0.8 %
        ("gauss_legendre", 1, -24),
        ("gauss_legendre", 2, None),
    ],
)
@pytest.mark.parametrize("side", [1, -1])
def test_gap_over_one_percent_is_a_warning(warned, quadrature, steps, gap, side):
    """Whichever sign the score and the gap have."""
    image = paddle.full([1, 3, 2, 2], 2.0)
    network = Power(side * np.ones((1, 3, 2, 2), dtype="float32"), 3)
    integrated_gradients(network, image, 0, steps=steps, quadrature=quadrature)
    messages = warned()
    assert len(messages) == (gap is not None)
    for message in messages:
        assert f"gap {gap * side:.2g}," in message and f"= {96 * side};" in message
        assert "more steps" in message


def test_gap_of_each_image_counts_on_its_own(warned):
    """S = x³ + 99 x at 2, 0 and 20; x³ − x at 1, where any gap is over 1 % of nothing."""

    class Mixed(Power):
        def forward(self, batch):
            return super().forward(batch) + self.slope * batch.flatten(1)

    network = Mixed(np.ones((1, 1, 1, 1), dtype="float32"), 3)
    options = {"quadrature": "midpoint", "steps": 4, "return_gap": True}
    network.slope = 99
    batch = paddle.to_tensor([2.0, 0, 20]).reshape([3, 1, 1, 1])
    _, gap = integrated_gradients(network, batch, 0, **options)
    np.testing.assert_allclose(gap.numpy(), [-8 / 64, 0, -8000 / 64], rtol=1e-3)
    (message,) = warned()  # 8/64 is little of 206, and 125 is much of 9980
    assert "gap -1.2e+02," in message and "= 9980;" in message
    network.slope = -1
    _, gap = integrated_gradients(network, paddle.ones([1, 1, 1, 1]), 0, **options)
    np.testing.assert_allclose(gap.numpy(), [-1 / 64], rtol=1e-4)
    assert "= 0;" in warned()[1]


def test_relu_network_needs_enough_steps(warned):
    network, batch = small_net(), images(2, 16, 16)
    start = images(2, 16, 16, seed=5)
    options = {"baseline": start, "return_gap": True}
    maps, gap = integrated_gradients(network, batch, 1, **options, steps=200)
    difference = (network(batch) - network(start)).numpy()[:, 1]
    assert (np.abs(gap.numpy()) < 0.01 * np.abs(difference)).all()
    assert warned() == []
    np.testing.assert_allclose(gap.numpy(), maps.numpy().sum((1, 2, 3)) - difference, atol=1e-6)
    _, coarse = integrated_gradients(network, batch, 1, **options, steps=1)
    assert (np.abs(coarse.numpy()) > 3 * np.abs(gap.numpy())).all()


# Baselines. From b, the integrated gradients of ½ Σ w x² are ½ w (x² − b²).
def of_quadratic(x, b):
    return W[TARGETS].astype("float64") * (x.astype("float64") ** 2 - b.astype("float64") ** 2) / 2


def mean_by_hand(x):
    b = np.zeros_like(x)
    for i in range(x.shape[0]):
        for c in range(x.shape[1]):
            b[i, c] = x[i, c].sum() / (x.shape[2] * x.shape[3])
    return b


def blurred_by_hand(x):
    """A Gaussian window around each pixel, divided by what of it lies within the image."""
    height, width = x.shape[2:]
    sigma = max(height, width) / 16
    rows, columns = np.mgrid[:height, :width]
    b = np.zeros(x.shape)
    for row in range(height):
        for column in range(width):
            window = np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / (2 * sigma**2))
            b[:, :, row, column] = (x * window).sum((2, 3)) / window.sum()
    return b


@pytest.mark.parametrize(
    ("baseline", "by_hand"),
    [("zero", np.zeros_like), ("mean", mean_by_hand), ("blurred", blurred_by_hand)],
)
def test_named_baselines(baseline, by_hand):
    batch = images() + 0.5
    x = batch.numpy()
    maps = integrated_gradients(Quadratic(W), batch, TARGETS, baseline=baseline, steps=2).numpy()
    exactly(maps, of_quadratic(x, by_hand(x)))
    exactly(make_baseline(baseline, batch).numpy(), by_hand(x))


def test_zero_unless_told_otherwise():
    batch = images()
    maps = integrated_gradients(Quadratic(W), batch, TARGETS).numpy()
    exactly(maps, of_quadratic(batch.numpy(), np.zeros_like(batch.numpy())))


@pytest.mark.parametrize("shape", [(12, 20), (20, 12), (1, 9), (40, 3)])
def test_blur_of_any_size(shape):
    batch = images(2, *shape)
    exactly(blurred(batch).numpy(), blurred_by_hand(batch.numpy().astype("float64")))


@pytest.mark.parametrize("baseline", ["mean", "blurred"])
def test_blur_of_a_constant_image_is_the_constant(baseline):
    colours = paddle.to_tensor([0.25, -2, 7]).reshape([1, 3, 1, 1]).expand([2, 3, 20, 12])
    np.testing.assert_allclose(make_baseline(baseline, colours).numpy(), colours.numpy(), rtol=1e-6)


@pytest.mark.parametrize("count", [1, 2])
def test_tensor_as_baseline(count):
    """One image for all, or one for each."""
    batch, start = images(), images(count, seed=8)
    maps = integrated_gradients(Quadratic(W), batch, TARGETS, baseline=start, steps=2).numpy()
    exactly(maps, of_quadratic(batch.numpy(), start.numpy()))


def test_baseline_of_another_type_or_with_gradients():
    batch, start = images(), images(1, seed=8)
    expected = integrated_gradients(Quadratic(W), batch, TARGETS, baseline=start).numpy()
    wide = start.astype("float64")
    wide.stop_gradient = False
    maps = integrated_gradients(Quadratic(W), batch, TARGETS, baseline=wide)
    np.testing.assert_array_equal(maps.numpy(), expected)
    assert maps.stop_gradient and wide.grad is None and not wide.stop_gradient


def test_image_as_its_own_baseline():
    batch = images()
    maps, gap = integrated_gradients(Quadratic(W), batch, TARGETS, baseline=batch, return_gap=True)
    assert not maps.numpy().any() and not gap.numpy().any()


def test_uniform_noise_lies_in_the_range_of_each_channel():
    batch = images() * 3 + 1
    noise = np.random.default_rng(6).random(batch.shape[1:], dtype="float32")
    expected = np.zeros(batch.shape)
    for i, image in enumerate(batch.numpy().astype("float64")):
        for c, channel in enumerate(image):
            expected[i, c] = channel.min() + noise[c] * (channel.max() - channel.min())
    exactly(uniform(batch, np.random.default_rng(6)).numpy(), expected)


@pytest.mark.parametrize("options", [{}, {"draws": 1}, {"draws": 3, "seed": 4}])
def test_random_baseline_is_the_average_over_its_draws(options):
    network, batch = Power(W, 3), images()
    random = np.random.default_rng(options.get("seed", 0))
    runs = [
        integrated_gradients(
            *(network, batch, TARGETS), baseline=uniform(batch, random), steps=1, return_gap=True
        )
        for _ in range(options.get("draws", 5))
    ]
    maps, gap = integrated_gradients(
        *(network, batch, TARGETS), baseline="random", steps=1, return_gap=True, **options
    )
    exactly(maps.numpy(), np.mean([run[0].numpy() for run in runs], axis=0))
    np.testing.assert_allclose(
        gap.numpy(), np.mean([run[1].numpy() for run in runs], axis=0), rtol=1e-4, atol=1e-4
    )


def test_seed_matters_to_random_baselines_only():
    network, batch = Quadratic(W), images()

    def maps(baseline, seed):
        options = {"baseline": baseline, "seed": seed, "steps": 2}
        return integrated_gradients(network, batch, TARGETS, **options).numpy()

    np.testing.assert_array_equal(maps("random", 4), maps("random", 4))
    assert np.abs(maps("random", 4) - maps("random", 5)).max() > 0.01
    np.testing.assert_array_equal(maps("blurred", 4), maps("blurred", 5))


Counting = counting(Exponential)


@pytest.mark.parametrize(
    ("batch_size", "sizes"),
    [(1, [2] * 7), (2, [2] * 7), (5, [2, 4, 4, 4]), (6, [4, 4, 6]), (14, [14]), (100, [14])],
)
def test_batch_size_changes_memory_only(batch_size, sizes):
    batch, network = images(), Counting(W)
    expected = integrated_gradients(Exponential(W), batch, TARGETS, steps=7).numpy()
    maps = integrated_gradients(network, batch, TARGETS, steps=7, batch_size=batch_size).numpy()
    exactly(maps, expected)
    assert network.sizes == sizes


def test_top_class_is_that_of_the_image_along_the_whole_path():
    """Class 1 wins up to the middle of the path; class 0 is what the image shows."""
    w = np.float32([3, 1]).reshape(2, 1, 1, 1)

    class Biased(Linear):
        def forward(self, batch):
            return super().forward(batch) + paddle.to_tensor([0.0, 1])

    network, image = Biased(w), paddle.ones([1, 1, 1, 1])
    assert [int(network(image * a).argmax()) for a in (0, 0.4, 0.6, 1)] == [1, 1, 0, 0]
    maps = integrated_gradients(network, image).numpy()
    np.testing.assert_allclose(maps.ravel(), [3], rtol=1e-6)


def test_score_sums_to_its_own_difference():
    network, batch = Linear(W), images() * 0.1
    for score in ("probability", "log_probability"):
        maps, gap = integrated_gradients(network, batch, TARGETS, score=score, return_gap=True)
        p = np.exp(network(batch).numpy().astype("float64"))
        p = (p / p.sum(1, keepdims=True))[[0, 1], TARGETS]
        whole = p - 1 / 3 if score == "probability" else np.log(p) - np.log(1 / 3)
        np.testing.assert_allclose(maps.numpy().sum((1, 2, 3)), whole, rtol=1e-5)
        np.testing.assert_allclose(gap.numpy(), 0, atol=2e-6)


def test_sign_and_channel_are_taken_of_the_integral():
    """From x to −x / 2 the gradient changes its sign on the way; the integral has one."""
    batch = images()
    signed = W[TARGETS] * batch.numpy() ** 2 * (1 - 1 / 4) / 2
    maps = integrated_gradients(
        *(Quadratic(W), batch, TARGETS), baseline=batch * -0.5, channel="sum", sign="absolute"
    )
    exactly(maps.numpy(), np.abs(signed).sum(1, keepdims=True))


def test_one_step_from_zero_is_half_the_gradient_times_the_image():
    """Of a quadratic score; that is, `(I − I′)` is there, and the node is in the middle."""
    batch = images()
    slope = gradient(Quadratic(W), batch, TARGETS)
    maps = integrated_gradients(Quadratic(W), batch, TARGETS, steps=1)
    exactly(maps.numpy(), (batch * slope / 2).numpy())


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
