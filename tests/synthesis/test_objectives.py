"""Objectives, compared with NumPy on a network whose feature maps are known."""

import numpy as np
import paddle
import pytest
from paddle import nn
from toys import Linear, images, weights

from visualize_pd import VisualizeError
from visualize_pd.synthesis import objectives

W = weights(classes=3)


class Scaled(nn.Layer):
    """Layer `maps`: the image, channel k times k + 1. Layer `logits`: Σ w_c · maps."""

    def __init__(self):
        super().__init__()
        self.maps, self.flat, self.logits = Times(), nn.Flatten(), Linear(W)

    def forward(self, batch):
        maps = self.maps(batch)
        self.flat(maps)
        return self.logits(maps)


class Times(nn.Layer):
    def forward(self, batch):
        return batch * paddle.to_tensor([1.0, 2, 3]).reshape([1, 3, 1, 1])


def values():
    """Two images and their feature maps."""
    x = images().numpy()
    return x, x * np.array([1.0, 2, 3], dtype="float32").reshape(1, 3, 1, 1)


def scores(objective, count=2):
    return objective(Scaled(), images()[:count]).numpy()


@pytest.mark.parametrize(("targets", "classes"), [(1, [1, 1]), ([2, 0], [2, 0]), ((0, 1), [0, 1])])
def test_class_score_is_the_logit(targets, classes):
    _, maps = values()
    expected = [(W[c] * image).sum() for c, image in zip(classes, maps)]
    np.testing.assert_allclose(scores(objectives.class_score(targets)), expected, rtol=1e-5)


def test_class_score_as_probability():
    _, maps = values()
    logits = np.einsum("nchw,kchw->nk", maps, W).astype("float64")
    shares = np.exp(logits - logits.max(1, keepdims=True))
    expected = (shares / shares.sum(1, keepdims=True))[:, 1]
    found = scores(objectives.class_score(1, "probability"))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-7)


def test_mixed_score_is_a_weighted_sum_of_logits():
    _, maps = values()
    expected = np.einsum("nchw,chw->n", maps, 0.5 * W[2] - 2 * W[0])
    found = scores(objectives.mixed_score({2: 0.5, 0: -2}))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_filter_response_is_the_mean_of_a_channel():
    _, maps = values()
    np.testing.assert_allclose(
        scores(objectives.filter_response("maps", 2)), maps[:, 2].mean((1, 2)), rtol=1e-5
    )
    np.testing.assert_allclose(
        scores(objectives.filter_response("maps", [1, 0])),
        [maps[0, 1].mean(), maps[1, 0].mean()],
        rtol=1e-5,
    )


def test_filter_response_at_a_position_is_one_neuron():
    _, maps = values()
    found = scores(objectives.filter_response("maps", [0, 2], position=(3, 6)))
    np.testing.assert_array_equal(found, [maps[0, 0, 3, 6], maps[1, 2, 3, 6]])


@pytest.mark.parametrize("layer", ["maps", "flat"])
def test_layer_energy_is_half_the_mean_square(layer):
    _, maps = values()
    expected = (maps.astype("float64") ** 2).mean((1, 2, 3)) / 2
    np.testing.assert_allclose(scores(objectives.layer_energy(layer)), expected, rtol=1e-5)


@pytest.mark.parametrize("layer", ["maps", "flat", "logits"])
def test_feature_similarity_is_minus_the_relative_squared_distance(layer):
    reference = images(seed=9)
    wanted, found = (
        dict(zip(("maps", "flat", "logits"), (maps, maps, np.einsum("nchw,kchw->nk", maps, W))))[
            layer
        ].reshape(2, -1)
        for maps in (
            each.numpy() * np.float32([1, 2, 3]).reshape(1, 3, 1, 1)
            for each in (reference, images())
        )
    )
    expected = -((found - wanted) ** 2).sum(1) / (wanted**2).sum(1)
    objective = objectives.feature_similarity(Scaled(), layer, reference)
    np.testing.assert_allclose(scores(objective), expected, rtol=1e-4)


def test_feature_similarity_to_the_image_itself_is_zero():
    assert scores(objectives.feature_similarity(Scaled(), "maps", images())).tolist() == [0, 0]


def test_feature_similarity_to_features_of_zero_is_finite():
    objective = objectives.feature_similarity(Scaled(), "maps", paddle.zeros([2, 3, 5, 7]))
    _, maps = values()
    np.testing.assert_allclose(scores(objective), -(maps**2).sum((1, 2, 3)), rtol=1e-5)


@pytest.mark.parametrize(
    ("objective", "message"),
    [
        (lambda: objectives.class_score(3), "class 3 does not exist"),
        (lambda: objectives.class_score([1]), "1 targets for 2 images"),
        (lambda: objectives.mixed_score({}), "no class"),
        (lambda: objectives.mixed_score({7: 1.0}), "class 7 does not exist"),
        (lambda: objectives.filter_response("map", 0), "no layer 'map'.*'maps'"),
        (lambda: objectives.filter_response("flat", 0), "not feature maps"),
        (lambda: objectives.filter_response("maps", 3), "no channel 3.*has 3"),
        (lambda: objectives.filter_response("maps", -1), "channel"),
        (lambda: objectives.filter_response("maps", [0]), "1 channels for 2 images"),
        (lambda: objectives.filter_response("maps", 0, (5, 0)), "no neuron at .*5 × 7"),
        (lambda: objectives.filter_response("maps", 0, (-1, 0)), "no neuron at"),
        (lambda: objectives.layer_energy("nowhere"), "no layer 'nowhere'"),
    ],
)
def test_missing_classes_layers_and_channels_are_refused(objective, message):
    with pytest.raises(VisualizeError, match=message):
        scores(objective())


def test_direction_response_is_the_product_times_the_cosine():
    _, maps = values()
    directions = np.array([[1, 2, 0.5], [-1, 0, 3]], "float32")
    means = maps.mean(axis=(2, 3))
    products = (means * directions).sum(axis=1)
    lengths = np.linalg.norm(means, axis=1) * np.linalg.norm(directions, axis=1)
    objective = objectives.direction_response("maps", paddle.to_tensor(directions))
    np.testing.assert_allclose(scores(objective), products**2 / lengths, rtol=1e-4)


@pytest.mark.parametrize("shape", [(2, 4), (1, 3)])
def test_directions_that_do_not_fit_are_refused(shape):
    objective = objectives.direction_response("maps", paddle.ones(shape))
    with pytest.raises(VisualizeError, match="3 channels, and there are 2 images"):
        scores(objective)
