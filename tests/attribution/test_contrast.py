"""A class rather than others, for every method. The oracle is a network that returns the score."""

import inspect

import numpy as np
import paddle
import pytest
from convnet import convolutional
from every_method import METHODS
from paddle import nn
from toys import Linear, images, weights
from transformers import ATTENTION_METHODS, Vit

from visualize_pd import VisualizeError, grad_cam, gradient, scores
from visualize_pd.attribution.methods import WITHOUT_CLASS
from visualize_pd.evaluate import deletion

SCORED = [
    name
    for name, method in METHODS.items()
    if "score" in inspect.signature(method).parameters and name not in WITHOUT_CLASS
]


class Contrasting(nn.Layer):
    """Returns the difference of logits as its only logit."""

    def __init__(self, network, shares):
        super().__init__()
        self.network, self.shares = network, paddle.to_tensor(shares, dtype="float32")

    def forward(self, batch):
        return (self.network(batch) * self.shares).sum(axis=1, keepdim=True)


def network_for(name):
    paddle.seed(0)
    network = Vit(4, patch=4) if name in ATTENTION_METHODS else convolutional()
    network.eval()
    return network


@pytest.mark.parametrize("name", SCORED)
@pytest.mark.usefixtures("fast_and_plain")
def test_map_is_that_of_a_network_which_returns_the_difference(name):
    network, batch = network_for(name), images(2, 16, 12)
    shares = np.zeros(network(batch).shape[1])
    shares[[2, 0, 3]] = 1, -0.3, -0.3
    expected = METHODS[name](Contrasting(network, shares), batch, 0, score="logit").numpy()
    found = METHODS[name](network, batch, 2, score=scores.contrast([0, 3], weight=0.6)).numpy()
    assert np.ptp(expected) > 0
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=2e-5 * np.abs(expected).max())


@pytest.mark.parametrize("name", SCORED)
def test_others_of_each_image_are_its_most_likely_ones(name):
    network, batch, targets = network_for(name), images(2, 16, 12), [1, 3]
    found = METHODS[name](network, batch, targets, score=scores.contrast("top2")).numpy()
    for n, (own, logits) in enumerate(zip(targets, network(batch).numpy())):
        others = [int(each) for each in np.argsort(-logits) if each != own][:2]
        score = scores.contrast(others)
        expected = METHODS[name](network, batch[n : n + 1], own, score=score).numpy()[0]
        np.testing.assert_allclose(
            found[n], expected, rtol=1e-4, atol=2e-5 * np.abs(expected).max()
        )


def test_gradient_of_a_linear_network_is_the_difference_of_its_weights():
    network, batch = Linear(weights(4, 5, 4)), images(2, 5, 4)
    w = weights(4, 5, 4)
    found = gradient(network, batch, [2, 0], score=scores.contrast(1, weight=0.5)).numpy()
    expected = [w[2] - 0.5 * w[1], w[0] - 0.5 * w[1]]
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-7)


def test_two_sides_of_a_map_have_opposite_signs():
    network, batch = convolutional(), images(2, 16, 12)
    one = grad_cam(network, batch, 1, score=scores.contrast(2), relu=False).numpy()
    other = grad_cam(network, batch, 2, score=scores.contrast(1), relu=False).numpy()
    assert one.min() < 0 < one.max()
    np.testing.assert_allclose(one, -other, rtol=1e-5, atol=1e-7)
    positive = grad_cam(network, batch, 1, score=scores.contrast(2)).numpy()
    assert positive.min() == 0 and positive.max() > 0


def test_measures_take_a_contrast():
    network, batch = Linear(weights(4, 5, 4)), images(2, 5, 4)
    maps = gradient(network, batch, 0) * batch
    curve = deletion(network, batch, maps, 0, steps=20, score=scores.contrast(1))
    w = weights(4, 5, 4)
    expected = ((w[0] - w[1]) * batch.numpy()).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(curve.scores[:, 0] - curve.scores[:, -1], expected, rtol=1e-4)


@pytest.mark.parametrize(
    ("others", "weight", "targets", "message"),
    [
        (2, 1.0, 2, "class 2 cannot be compared with itself; name other classes in the contrast"),
        ([1, 2], 1.0, [0, 2], "class 2 cannot be compared with itself"),
        (99, 1.0, 0, "class 99 does not exist; this network has 4 classes, 0 to 3"),
        ("top4", 1.0, 0, "a network with 4 classes has no 4 others to compare a class with"),
        ("top0", 1.0, 0, "a contrast is with class indices or with top3, not 'top0'"),
        ("tabby", 1.0, 0, "a contrast is with class indices or with top3, not 'tabby'"),
        ([], 1.0, 0, r"a contrast is with class indices or with top3, not \[\]"),
        ([1.5], 1.0, 0, r"not \[1.5\]"),
        (True, 1.0, 0, "not True"),
        (-1, 1.0, 0, "not -1"),
        (1, 0, 0, "the weight of a contrast must be a number over 0, not 0"),
        (1, float("nan"), 0, "must be a number over 0, not nan"),
        (1, "much", 0, "must be a number over 0, not 'much'"),
    ],
)
def test_wrong_contrast_is_refused_in_a_sentence(others, weight, targets, message):
    with pytest.raises(VisualizeError, match=message):
        gradient(convolutional(), images(2, 8, 8), targets, score=scores.contrast(others, weight))
