"""Max-sensitivity: the noise that it draws, and its value for known gradients."""

import numpy as np
import paddle
import pytest
from known_scores import TARGETS, W
from toys import Linear, Quadratic, close, images, weights

from visualize_pd import VisualizeError, gradient
from visualize_pd.evaluate import max_sensitivity


def test_sensitivity_of_a_linear_networks_gradient_is_zero():
    assert max_sensitivity(Linear(W), images(), gradient, TARGETS).tolist() == [0, 0]


def draws_of(batch, network=None, **options):
    """The noise that was added to the images in each draw, `[samples, N, C, H, W]`."""
    seen = []

    def method(_network, shown, _targets):
        seen.append(shown.numpy())
        return paddle.zeros_like(shown)

    max_sensitivity(network or Linear(W), batch, method, TARGETS, **options)
    np.testing.assert_array_equal(seen[0], batch.numpy())
    return np.stack(seen[1:]) - seen[0]


@pytest.mark.parametrize("radius", [0.02, 0.5])
def test_sensitivity_of_a_quadratic_networks_gradient(radius):
    """The gradient is w · I, so noise δ changes it by w · δ."""
    batch, w = images(), W[TARGETS].astype("float64")
    draws = draws_of(batch, radius=radius, samples=7, seed=3).astype("float64")
    assert len(draws) == 7
    found = max_sensitivity(
        Quadratic(W), batch, gradient, TARGETS, radius=radius, samples=7, seed=3
    )

    def norm(values):
        return np.sqrt((values**2).sum((-3, -2, -1)))

    close(found, (norm(w * draws) / norm(w * batch.numpy())).max(0), 1e-4)
    bound = radius * norm(w) / norm(w * batch.numpy())
    # Uniform noise has a standard deviation of radius / √3, so expect about bound / √3.
    assert (found < bound).all() and (found > 0.45 * bound).all()


def test_noise_is_uniform_within_the_radius():
    draws = draws_of(images(2, 20, 25), Linear(weights(3, 20, 25)), samples=20)
    assert len(draws) == 20
    assert 0.0195 < np.abs(draws).max() <= 0.02 + 1e-6
    assert abs(draws.mean()) < 2e-4 and abs(draws.std() - 0.02 / np.sqrt(3)) < 2e-4
    flat = draws[:, 0].reshape(20, -1)
    assert np.abs(np.corrcoef(flat) - np.eye(20)).max() < 0.15  # the draws are independent


def test_defaults_are_ten_draws_and_a_radius_of_a_fiftieth():
    batch = images()
    plain = max_sensitivity(Quadratic(W), batch, gradient, TARGETS)
    named = max_sensitivity(Quadratic(W), batch, gradient, TARGETS, radius=0.02, samples=10, seed=0)
    np.testing.assert_array_equal(plain, named)
    more = max_sensitivity(Quadratic(W), batch, gradient, TARGETS, samples=50)
    other = max_sensitivity(Quadratic(W), batch, gradient, TARGETS, seed=1)
    assert (more >= plain).all() and (more > plain).any() and (other != plain).all()


def test_class_is_that_of_the_image_without_noise():
    """With noise of ± 3 the network predicts other classes."""
    network, batch, asked = Quadratic(W), images(3), []

    def method(network, shown, targets):
        asked.append((np.asarray(targets).tolist(), network(shown).numpy().argmax(1).tolist()))
        return gradient(network, shown, targets)

    found = max_sensitivity(network, batch, method, radius=3)
    top = network(batch).numpy().argmax(1).tolist()
    assert all(targets == top for targets, _ in asked)
    assert any(seen != top for _, seen in asked)
    np.testing.assert_array_equal(found, max_sensitivity(network, batch, gradient, top, radius=3))


def test_images_that_are_no_batch_of_tensors_are_refused():
    for batch in (images().numpy(), images()[0]):
        with pytest.raises(VisualizeError, match="images must be"):
            max_sensitivity(Linear(W), batch, gradient, 1)


@pytest.mark.parametrize(
    "option",
    [
        {"samples": 0},
        {"samples": 2.0},
        {"seed": -1},
        {"radius": -0.1},
        {"radius": float("nan")},
        {"radius": float("inf")},
        {"radius": "wide"},
    ],
    ids=str,
)
def test_message_names_the_wrong_option(option):
    (name,) = option
    with pytest.raises(VisualizeError, match=name):
        max_sensitivity(Linear(W), images(), gradient, 1, **option)
