"""GradientSHAP and expected gradients: their estimator, their baselines, and Captum's numbers."""

import numpy as np
import paddle
import pytest
from integral_toys import TARGETS, Power, W, assert_exact
from oracle_toys import Tanh, baselines, image, sampled
from PIL import Image
from toys import Linear, Quadratic, counting, images

from visualize_pd import VisualizeError, expected_gradients, gradient_shap, load_model
from visualize_pd.attribution.baselines import uniform
from visualize_pd.attribution.configured import configure_method

PICTURES = images(3, seed=8)
# From Captum 0.9.0 with torch 2.13 in float64: GradientShap(f).attribute(image, baselines,
# n_samples=7, stdevs=noise * (max - min), target=1) on the score of `oracle_toys`. Captum takes no
# seed: `numpy.random.uniform` and `choice` and `torch.normal` gave the numbers that are drawn here.
CAPTUM = {
    0.0: [-0.0119795722, 0.0322973400, -0.0136619612, -0.0184069076, 0.0066596280],
    0.2: [-0.0517604647, 0.1524151400, 0.0211602673, -0.0644658800, -0.0160947166],
}


@pytest.mark.parametrize("noise", CAPTUM)
def test_numbers_of_captum(noise):
    maps = gradient_shap(
        *(Tanh(), image(), 1), baselines=baselines(), samples=7, noise=noise, seed=4
    )
    np.testing.assert_allclose(sampled(maps), CAPTUM[noise], atol=2e-9)


def test_expected_gradients_are_gradient_shap_without_noise():
    options = {"baselines": baselines(), "samples": 7, "seed": 4}
    maps = expected_gradients(Tanh(), image(), 1, **options)
    np.testing.assert_allclose(sampled(maps), CAPTUM[0.0], atol=2e-9)


def test_linear_score_gives_the_exact_expectation():
    """w · (I − mean of the baselines that were drawn), whatever the points on the path."""
    random = np.random.default_rng(0)
    random.permutation(40), random.random(40)
    drawn = [int(random.integers(3)) for _ in range(40)]
    assert set(drawn) == {0, 1, 2}
    batch = images()
    maps = expected_gradients(Linear(W), batch, TARGETS, baselines=PICTURES, samples=40)
    mean = PICTURES.numpy()[drawn].mean(0)
    assert_exact(maps.numpy(), W[TARGETS] * (batch.numpy() - mean))


def test_points_are_spread_over_the_path():
    """For x³ from 0 the mean of 3 w α² x³. One α lies in each of the equal parts of [0, 1]."""
    random = np.random.default_rng(3)
    alphas = (random.permutation(8) + random.random(8)) / 8
    assert sorted((alphas * 8).astype(int)) == list(range(8))
    batch = images()
    maps = expected_gradients(Power(W, 3), batch, TARGETS, baselines="zero", samples=8, seed=3)
    assert_exact(maps.numpy(), W[TARGETS] * batch.numpy() ** 3 * 3 * (alphas**2).mean())


def test_many_samples_come_near_the_integral():
    """From 0, ½ w x² is the integral for a quadratic score."""
    batch = images()
    maps = expected_gradients(Quadratic(W), batch, TARGETS, baselines="zero", samples=300).numpy()
    np.testing.assert_allclose(maps, W[TARGETS] * batch.numpy() ** 2 / 2, rtol=2e-3)


@pytest.mark.parametrize("baseline", ["random", "mean"])
def test_noise_and_named_baselines(baseline):
    """(Ĩ − I′) · w · (I′ + α (Ĩ − I′)) of each draw of a quadratic score, by a slow loop."""
    batch = images() + 1
    x = batch.numpy().astype("float64")
    random = np.random.default_rng(5)
    alphas = (random.permutation(4) + random.random(4)) / 4
    expected = 0.0
    for alpha in alphas:
        start = x.mean((2, 3), keepdims=True)
        if baseline == "random":
            start = uniform(batch, random).numpy()
        noise = random.standard_normal(x.shape[1:], dtype="float32")
        spread = (x.max((1, 2, 3)) - x.min((1, 2, 3)))[:, None, None, None]
        way = x + 0.3 * spread * noise - start
        expected = expected + way * W[TARGETS] * (start + alpha * way) / 4
    options = {"baselines": baseline, "samples": 4, "noise": 0.3, "seed": 5}
    assert_exact(gradient_shap(Quadratic(W), batch, TARGETS, **options).numpy(), expected)


Counting = counting(Quadratic)


@pytest.mark.parametrize(
    ("batch_size", "sizes"), [(1, [2] * 7), (5, [2, 4, 4, 4]), (6, [4, 4, 6]), (100, [14])]
)
def test_batch_size_changes_memory_only(batch_size, sizes):
    batch, network = images(), Counting(W)
    expected = gradient_shap(Quadratic(W), batch, TARGETS, samples=7).numpy()
    maps = gradient_shap(network, batch, TARGETS, samples=7, batch_size=batch_size).numpy()
    assert_exact(maps, expected)
    assert network.sizes == sizes


def test_channel_and_sign():
    options = {"baselines": PICTURES, "samples": 3}
    maps = expected_gradients(Linear(W), images(), TARGETS, **options).numpy()
    reduced = expected_gradients(
        Linear(W), images(), TARGETS, **options, channel="sum", sign="positive"
    )
    assert_exact(reduced.numpy(), maps.clip(0).sum(1, keepdims=True))


@pytest.mark.parametrize("count", [3, 600])
def test_folder_with_pictures(tmp_path, count):
    """A config names a folder. Of 600 pictures every third is taken, so that at most 256 are."""
    for n in range(count):
        Image.new("RGB", (32, 32), (n % 256, n // 256, 7)).save(tmp_path / f"{n:03}.png")
    classifier = load_model("tiny:small_net", weights="random", image_size=32)
    method = configure_method({"name": "expected_gradients", "baselines": str(tmp_path)})
    found = method.prepared(classifier).options["baselines"]
    taken = range(0, count, 3 if count == 600 else 1)
    colours = np.array([(n % 256, n // 256, 7) for n in taken])
    np.testing.assert_array_equal(classifier.to_pixels(found)[:, 5, 9], colours)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"baselines": None}, "needs pictures as baselines; give a folder"),
        ({"baselines": "black"}, "baselines must be pictures.*'black'"),
        ({"baselines": ["a.jpg"]}, "baselines must be pictures"),
        ({"baselines": PICTURES[0]}, "do not fit"),
        ({"baselines": paddle.zeros([2, 3, 7, 5])}, "do not fit images of"),
        ({"samples": 0}, "samples"),
        ({"seed": -1}, "seed"),
        ({"batch_size": 0}, "batch_size"),
        ({"score": "odds"}, "'odds'"),
    ],
    ids=lambda value: str(value)[:30].replace("\n", " "),
)
def test_wrong_options(options, message):
    with pytest.raises(VisualizeError, match=message):
        expected_gradients(Linear(W), images(), TARGETS, **{"baselines": "zero", **options})


@pytest.mark.parametrize("noise", [-1, True, "1", 1e4])
def test_wrong_noise(noise):
    with pytest.raises(VisualizeError, match="noise must be a share"):
        gradient_shap(Linear(W), images(), TARGETS, noise=noise)
