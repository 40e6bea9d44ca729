"""The random-logit test: the class that is drawn, and the similarity of the two maps."""

import numpy as np
import paddle
import pytest
from toys import Linear, close, images, weights

from visualize_pd import VisualizeError, gradient
from visualize_pd.evaluate import random_logit
from visualize_pd.evaluate.sanity import spearman, ssim

W = weights(6, 9, 8)


def test_maps_are_those_of_the_class_and_of_another_one():
    """The gradient of a linear network is w_c."""
    targets = [4, 1, 0]
    found = random_logit(Linear(W), images(3, 9, 8), gradient, targets, seed=2)
    planes = W.sum(axis=1)
    pairs = [(planes[other], planes[own]) for own, other in zip(targets, found.others)]
    assert all(other != own for own, other in zip(targets, found.others))
    close(found.rank_correlation, [spearman(*pair) for pair in pairs])
    close(found.rank_correlation_abs, [spearman(*map(np.abs, pair)) for pair in pairs])
    close(found.ssim, [ssim(*map(np.abs, pair)) for pair in pairs])


def test_opposite_maps_have_the_correlation_minus_one():
    w = np.concatenate([W[:1], -W[:1]])
    found = random_logit(Linear(w), images(2, 9, 8), gradient, 0)
    close(found.rank_correlation, [-1, -1])
    assert found.others.tolist() == [1, 1]


def test_method_that_ignores_the_class_fails():
    def blind(network, batch, targets):
        return batch * batch

    found = random_logit(Linear(W), images(2, 9, 8), blind)
    close(found.ssim, [1, 1])
    close(found.rank_correlation, [1, 1])


def test_every_other_class_may_be_drawn_and_the_class_itself_never():
    network, batch, drawn = Linear(W), images(1, 9, 8), set()

    def watched(_network, shown, targets):
        return paddle.ones_like(shown)

    for seed in range(60):
        drawn |= set(random_logit(network, batch, watched, 3, seed=seed).others.tolist())
    assert drawn == {0, 1, 2, 4, 5}


def test_without_targets_it_is_the_predicted_class_and_a_batch_is_as_single_images():
    network, batch = Linear(W), images(3, 9, 8)
    top = network(batch).numpy().argmax(1).tolist()
    found = random_logit(network, batch, gradient)
    close(found.ssim, random_logit(network, batch, gradient, top).ssim)
    for n in range(3):
        alone = random_logit(network, batch[n : n + 1], gradient)
        assert alone.others[0] == found.others[n]
        close(alone.ssim, found.ssim[n : n + 1])


def test_a_single_class_is_refused():
    with pytest.raises(VisualizeError, match="single class"):
        random_logit(Linear(W[:1]), images(1, 9, 8), gradient)
    with pytest.raises(VisualizeError, match="seed"):
        random_logit(Linear(W), images(1, 9, 8), gradient, seed=-1)
