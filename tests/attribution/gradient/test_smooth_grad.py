"""SmoothGrad, SmoothGrad² and VarGrad against plain loops over noisy copies."""

import numpy as np
import paddle
import pytest
from toys import Linear, Quadratic, counting, images, weights

from visualize_pd import (
    VisualizeError,
    grad_times_input,
    gradient,
    guided_backprop,
    saliency,
    smooth_grad,
)
from visualize_pd.network import batching

W = weights()
TARGETS = [2, 1]


def noisy_copies(x, samples, noise, seed=0):
    """Copies of the images. All get the same normal noise, times `noise`, times their own range."""
    generator = np.random.default_rng(seed)
    for _ in range(samples):
        drawn = generator.standard_normal(x.shape[1:], dtype="float32").astype("float64")
        yield np.stack([image + noise * (image.max() - image.min()) * drawn for image in x])


def average_by_hand(maps, average):
    maps = np.stack(maps)
    if average == "squared":
        return (maps**2).mean(0)
    return maps.mean(0) if average == "mean" else ((maps - maps.mean(0)) ** 2).mean(0)


def own_method(network, batch, targets, score="logit"):
    """A user's own method: 3 times the second channel of the gradient."""
    return 3 * gradient(network, batch, targets, score=score)[:, 1:2]


# A method that is smoothed, and its map for S = ½ Σ w x² by hand. The gradient is w x.
OF_QUADRATIC = [
    ("gradient", lambda w, x: w * x),
    ("saliency", lambda w, x: np.abs(w * x).max(1, keepdims=True)),
    ("grad_times_input", lambda w, x: w * x * x),
    ("guided_backprop", lambda w, x: w * x),
    ({"name": "integrated_gradients", "steps": 3}, lambda w, x: w * x * x / 2),
    # One step from the baseline b, the mean colour: (x − b) · w (x + b) / 2.
    (
        {"name": "integrated_gradients", "steps": 1, "baseline": "mean"},
        lambda w, x: w * (x * x - x.mean((2, 3), keepdims=True) ** 2) / 2,
    ),
    ({"name": "gradient", "sign": "positive"}, lambda w, x: np.maximum(w * x, 0)),
    (own_method, lambda w, x: 3 * (w * x)[:, 1:2]),
]


@pytest.mark.parametrize(
    ("of", "by_hand"), OF_QUADRATIC, ids=lambda value: getattr(value, "__name__", str(value)[:40])
)
@pytest.mark.parametrize("average", ["mean", "squared", "variance"])
def test_map_of_a_quadratic_score_equals_a_loop(of, by_hand, average):
    batch = images() * paddle.to_tensor([1.0, 10]).reshape([2, 1, 1, 1])  # so that σ differs
    w, x = W[TARGETS].astype("float64"), batch.numpy().astype("float64")
    each = [by_hand(w, noisy) for noisy in noisy_copies(x, samples=7, noise=0.2, seed=5)]
    maps = smooth_grad(
        *(Quadratic(W), batch, TARGETS),
        **{"of": of, "samples": 7, "noise": 0.2, "seed": 5, "average": average, "batch_size": 6},
    )
    expected = average_by_hand(each, average)
    assert maps.shape == list(expected.shape)
    assert maps.dtype == paddle.float32
    size = np.abs(expected).max((1, 2, 3), keepdims=True)
    np.testing.assert_array_less(
        np.abs(maps.numpy() - expected), 1e-5 * np.abs(expected) + 2e-6 * size
    )


def test_default_options():
    """The mean of the gradient over 50 copies, σ is 0.15 of the range, and the seed is 0."""
    batch = images()
    w, x = W[TARGETS].astype("float64"), batch.numpy().astype("float64")
    expected = np.mean([w * noisy for noisy in noisy_copies(x, samples=50, noise=0.15)], axis=0)
    maps = smooth_grad(Quadratic(W), batch, TARGETS).numpy()
    np.testing.assert_allclose(maps, expected, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize(
    ("average", "expected"),
    [("mean", W[TARGETS]), ("squared", W[TARGETS] ** 2), ("variance", 0 * W[TARGETS])],
)
def test_map_of_a_linear_score_does_not_depend_on_the_noise(average, expected):
    maps = smooth_grad(Linear(W), images(), TARGETS, samples=8, noise=3.0, average=average)
    np.testing.assert_allclose(maps.numpy(), expected, rtol=2.0**-22)


@pytest.mark.parametrize("of", [gradient, saliency, grad_times_input, guided_backprop])
def test_without_noise_it_equals_the_method(of):
    network, batch = Quadratic(W), images()
    expected = of(network, batch, TARGETS).numpy()
    for given in (of, of.__name__, {"name": of.__name__}):
        options = {"of": given, "samples": 4, "noise": 0}
        maps = smooth_grad(network, batch, TARGETS, **options).numpy()
        np.testing.assert_array_equal(maps, expected)
        squares = smooth_grad(network, batch, TARGETS, **options, average="squared").numpy()
        np.testing.assert_array_equal(squares, expected * expected)
        assert not smooth_grad(network, batch, TARGETS, **options, average="variance").numpy().any()


def test_small_variance_with_a_large_mean():
    """The gradients are about 1000 ± 0.25. Float32 cannot hold the difference of their squares."""
    w = np.ones((1, 3, 4, 5), dtype="float32")
    x = 1000 + np.random.default_rng(2).random(w.shape, dtype="float32").round(1)
    x.flat[0], x.flat[1] = 1000, 1001  # a range of 1
    each = []
    generator = np.random.default_rng(0)
    for _ in range(20):
        drawn = generator.standard_normal(x.shape[1:], dtype="float32")
        each.append((x + np.float32(0.25) * drawn).astype("float64"))  # rounded to float32 first
    batch = paddle.to_tensor(x)
    options = {"samples": 20, "noise": 0.25}
    maps = smooth_grad(Quadratic(w), batch, 0, **options, average="variance").numpy()
    np.testing.assert_allclose(maps, np.var(each, axis=0), rtol=1e-6)


@pytest.mark.parametrize("average", ["mean", "squared", "variance"])
def test_sign_and_channel_are_applied_after_averaging(average):
    """The result is |mean of maps|, not the mean of |maps|. The channels are reduced at the end."""
    batch = images() * 0.1
    options = {"samples": 6, "noise": 0.5, "average": average}
    w, x = W[TARGETS].astype("float64"), batch.numpy().astype("float64")
    each = [w * noisy for noisy in noisy_copies(x, samples=6, noise=0.5)]
    expected = np.abs(average_by_hand(each, average)).max(1, keepdims=True)
    reduced = smooth_grad(
        Quadratic(W), batch, TARGETS, **options, channel="max", sign="absolute"
    ).numpy()
    np.testing.assert_allclose(reduced, expected, rtol=2e-5, atol=1e-7)


@pytest.mark.parametrize("score", ["probability", "log_probability"])
def test_score_is_passed_on_to_the_method(score):
    network, batch = Linear(W), images() * 0.1
    options = {"samples": 4, "noise": 0}
    expected = gradient(network, batch, TARGETS, score=score).numpy()
    assert np.abs(expected - W[TARGETS]).max() > 0.1
    passed_on = smooth_grad(network, batch, TARGETS, score=score, **options).numpy()
    np.testing.assert_allclose(passed_on, expected, rtol=1e-6, atol=2e-7)
    inner = {"name": "gradient", "score": score}
    np.testing.assert_array_equal(
        smooth_grad(network, batch, TARGETS, of=inner, **options).numpy(), passed_on
    )


def test_mapping_with_options_is_not_changed():
    inner = {"name": "integrated_gradients", "steps": 2}
    smooth_grad(Quadratic(W), images(), TARGETS, of=inner, samples=2)
    assert inner == {"name": "integrated_gradients", "steps": 2}


def test_seed_option():
    network, batch = Quadratic(W), images()

    def maps(**options):
        return smooth_grad(network, batch, TARGETS, samples=3, **options).numpy()

    np.testing.assert_array_equal(maps(seed=4), maps(seed=4))
    np.testing.assert_array_equal(maps(), maps(seed=0))
    assert np.abs(maps(seed=4) - maps(seed=5)).max() > 0.01


def test_noise_does_not_depend_on_the_seeds_of_paddle_and_numpy():
    network, batch = Quadratic(W), images()
    paddle.seed(1)
    np.random.seed(1)
    first = smooth_grad(network, batch, TARGETS, samples=3).numpy()
    paddle.seed(2)
    np.random.seed(2)
    np.testing.assert_array_equal(smooth_grad(network, batch, TARGETS, samples=3).numpy(), first)


Counting = counting(Quadratic)


@pytest.mark.parametrize("average", ["mean", "squared", "variance"])
@pytest.mark.parametrize(
    ("batch_size", "sizes"),
    [(1, [2] * 7), (2, [2] * 7), (5, [2, 4, 4, 4]), (6, [4, 4, 6]), (14, [14]), (100, [14])],
)
def test_batch_size_changes_memory_only(batch_size, sizes, average):
    batch, options = images(), {"samples": 7, "average": average}
    expected = smooth_grad(Quadratic(W), batch, TARGETS, **options).numpy()
    network = Counting(W)
    maps = smooth_grad(network, batch, TARGETS, **options, batch_size=batch_size).numpy()
    np.testing.assert_allclose(maps, expected, rtol=1e-5, atol=1e-6)
    assert network.sizes == sizes


@pytest.mark.parametrize(("numbers", "sizes"), [
    (70, [14]), (42, [2 * 3, 2 * 4]), (20, [2, 4, 4, 4]), (1, [2] * 7),
])  # fmt: skip
def test_default_batch_size_bounds_the_numbers_that_a_pass_records(monkeypatch, numbers, sizes):
    """Two images. The layers of this network return 5 numbers for each of them."""
    monkeypatch.setattr(batching, "MOST_RECORDED", numbers)

    class WithLayers(Counting):
        def __init__(self, w):
            super().__init__(w)
            self.two, self.three = Quadratic(w[:2]), Quadratic(w[:3])

        def forward(self, batch):
            self.two(batch)
            super().forward(batch)
            return self.three(batch)

    network = WithLayers(W)
    smooth_grad(network, images(), TARGETS, samples=7)
    assert network.sizes == sizes


def test_top_class_of_the_image_without_noise_is_explained():
    """In about half of the noisy copies the other class has the higher score."""
    w = np.zeros((2, 3, 2, 2), dtype="float32")
    w[0, 0, 0, 0], w[1, 0, 0, 0] = 1, -1
    x = np.zeros((2, 3, 2, 2), dtype="float32")
    x[:, 0, 0, 0] = [0.01, -0.01]  # slightly more class 0, then slightly more class 1
    x[:, 2, 1, 1] = 1
    flipped = [noisy[:, 0, 0, 0] * x[:, 0, 0, 0] < 0 for noisy in noisy_copies(x, 20, 0.5)]
    assert 4 < np.sum(flipped, 0)[0] < 16 and 4 < np.sum(flipped, 0)[1] < 16
    options = {"samples": 20, "noise": 0.5}
    maps = smooth_grad(Linear(w), paddle.to_tensor(x), **options).numpy()
    np.testing.assert_allclose(maps, w, rtol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"samples": 0}, "samples"),
        ({"samples": -1}, "samples"),
        ({"samples": True}, "samples"),
        ({"samples": 2.0}, "samples"),
        ({"noise": -0.1}, "noise"),
        ({"noise": True}, "noise"),
        ({"noise": "0.1"}, "noise"),
        ({"noise": None}, "noise"),
        ({"noise": float("nan")}, "noise"),
        ({"noise": float("inf")}, "noise"),
        ({"average": "median"}, "'median'.*mean, squared, variance"),
        ({"average": None}, "average"),
        ({"of": "smooth_grad"}, "'smooth_grad'"),
        ({"of": "grad_cam"}, "'grad_cam'.*gradient, saliency"),
        ({"of": {"name": "gradients"}}, "'gradients'"),
        ({"of": {"steps": 3}}, "method"),
        ({"of": {}}, "method"),
        ({"of": {"name": "gradient", "steps": 3}}, "'steps'.*score, channel"),
        ({"of": {"name": "integrated_gradients", "return_gap": True}}, "'return_gap'"),
        ({"batch_size": 0}, "batch_size"),
        ({"batch_size": -1}, "batch_size"),
        ({"batch_size": True}, "batch_size"),
        ({"batch_size": 2.5}, "batch_size"),
        ({"seed": -1}, "seed"),
        ({"seed": 1.0}, "seed"),
        ({"seed": True}, "seed"),
        ({"score": "odds"}, "'odds'"),
        ({"channel": "mean"}, "'mean'"),
        ({"sign": "minus"}, "'minus'"),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(VisualizeError, match=message):
        smooth_grad(Linear(W), images(), TARGETS, **options)
