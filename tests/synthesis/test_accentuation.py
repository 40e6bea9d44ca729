"""Feature accentuation: its optimum by algebra, and the same views of image and photograph."""

import numpy as np
import paddle
import pytest

from visualize_pd import accentuation
from visualize_pd.synthesis.objectives import accentuated_score
from visualize_pd.synthesis.parametrisations import Pixels
from visualize_pd.synthesis.settings import Priors

W = np.random.default_rng(0).normal(size=(3, 3 * 4 * 4)).astype("float32")


class Linear(paddle.nn.Layer):
    """S = W · features, with the image itself as features."""

    def __init__(self):
        super().__init__()
        self.features, self.seen = paddle.nn.Identity(), []

    def forward(self, images):
        self.seen.append(images.numpy())
        return paddle.matmul(self.features(images).flatten(1), paddle.to_tensor(W.T))


PHOTOGRAPH = np.random.default_rng(1).normal(size=(1, 3, 4, 4)).astype("float32")
STILL = Priors(shift=0, total_variation=0)


def test_optimum_by_algebra():
    """The gradient w − 2n (I − I₀) / ‖I₀‖² is 0 at I = I₀ + w ‖I₀‖² / 2n."""
    frames = accentuation(
        *(Linear(), 1, paddle.to_tensor(PHOTOGRAPH)),
        **{"layer": "features", "nearness": 30.0, "parametrisation": Pixels, "priors": STILL},
        **{"iterations": 400, "learning_rate": 0.05, "cooling": 0.0},
    )
    *_, last = frames
    size = float((PHOTOGRAPH.astype("float64") ** 2).sum())
    expected = PHOTOGRAPH + W[1].reshape(1, 3, 4, 4) * size / 60
    np.testing.assert_allclose(last.image.numpy(), expected, atol=2e-3)
    change = expected - PHOTOGRAPH
    best = (W[1] * expected.ravel()).sum() - 30 * (change**2).sum() / size
    assert last.score == pytest.approx(best, rel=1e-3)


def test_the_photograph_is_changed_as_the_image_is():
    network = Linear()
    priors = Priors(shift=1, rotation=20, zoom=[0.8, 1.5], total_variation=0)
    frames = accentuation(
        *(network, 0, paddle.to_tensor(PHOTOGRAPH)),
        **{"layer": "features", "parametrisation": Pixels, "priors": priors, "iterations": 1},
    )
    first, _ = frames
    photograph, image = network.seen[:2]
    np.testing.assert_array_equal(photograph, image)  # at the start both are the photograph
    assert np.abs(photograph - PHOTOGRAPH).max() > 0.1
    assert first.score == pytest.approx(float((W[0] * image.ravel()).sum()), rel=1e-5)
    photograph, image = network.seen[2:4]
    assert 0 < np.abs(photograph - image).max() < 0.1


def test_score_by_hand():
    """The distance is relative: features twice as large have the same distance."""
    image = PHOTOGRAPH * 1.5
    both = paddle.to_tensor(np.concatenate([image, PHOTOGRAPH]))
    found = accentuated_score(2, "features", 8.0)(Linear(), both)
    expected = (W[2] * image.ravel()).sum() - 8 * 0.25
    assert found.shape == [1] and float(found[0]) == pytest.approx(expected, rel=1e-5)


def test_more_nearness_stays_nearer():
    ends = []
    for nearness in (1.0, 100.0):
        frames = accentuation(
            *(Linear(), 1, paddle.to_tensor(PHOTOGRAPH)),
            **{"layer": "features", "nearness": nearness, "iterations": 20, "priors": STILL},
        )
        *_, last = frames
        ends.append(np.abs(last.image.numpy() - PHOTOGRAPH).mean())
    assert ends[1] < ends[0]


def test_the_default_layer_is_the_last_before_the_smallest_maps():
    from visualize_pd.network.layers.feature_maps import layers_of_each_size, middle_layer

    network = paddle.nn.Sequential(
        paddle.nn.Conv2D(3, 2, 1),
        paddle.nn.MaxPool2D(2),
        paddle.nn.Sequential(paddle.nn.Conv2D(2, 2, 1), paddle.nn.ReLU()),
        paddle.nn.MaxPool2D(2),
        paddle.nn.Flatten(),
        paddle.nn.Linear(8, 3),
    )
    images = paddle.ones([1, 3, 8, 8])
    assert layers_of_each_size(network, images) == ["0", "2", "3"]
    assert middle_layer(network, images) == "2"
    small = paddle.nn.Sequential(paddle.nn.Conv2D(3, 2, 1))
    assert middle_layer(small, images) == "0"
