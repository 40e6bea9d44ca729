"""The diversity prior: cosines of Gram matrices, by hand."""

import numpy as np
import paddle
import pytest

from visualize_pd.synthesis.priors.diversity import Diversity


def network():
    return paddle.nn.Sequential(paddle.nn.Identity())


def tensor(values):
    return paddle.to_tensor(np.asarray(values, "float32"))


def penalty(net, images, groups, weight=1.0):
    prior = Diversity(net, "0", weight, groups)
    with prior.watch():
        net(images)
    return prior.penalty()


ACROSS = [[[1, 0]], [[0, 0]]]  # only the first channel is active
DOWN = [[[0, 0]], [[3, 0]]]  # only the second one
BOTH = [[[2, 0]], [[2, 0]]]  # both, at the same place


def test_penalty_by_hand():
    """G of BOTH is 4 · [[1, 1], [1, 1]]; its cosine with G of ACROSS, [[1, 0], [0, 0]], is ½."""
    net = network()
    assert float(penalty(net, tensor([ACROSS, DOWN]), [5, 5])) == pytest.approx(0, abs=1e-6)
    assert float(penalty(net, tensor([ACROSS, ACROSS]), [5, 5])) == pytest.approx(1)
    assert float(penalty(net, tensor([ACROSS, BOTH]), [5, 5], 3.0)) == pytest.approx(1.5)
    # Three images: the pairs have ½, ½ and 0, both ways round, over three images.
    assert float(penalty(net, tensor([ACROSS, BOTH, DOWN]), [5] * 3)) == pytest.approx(2 / 3)


def test_only_images_of_one_class_count():
    net = network()
    images = tensor([ACROSS, ACROSS, BOTH, BOTH])
    assert float(penalty(net, images, [1, 2, 3, 4])) == pytest.approx(0, abs=1e-6)
    assert float(penalty(net, images, [1, 1, 2, 2])) == pytest.approx(1)
    assert float(penalty(net, images, [1, 2, 1, 2])) == pytest.approx(0.5)


def test_gradient_equals_finite_differences():
    net, random = network(), np.random.default_rng(0)
    values = random.normal(size=(3, 2, 2, 3)).astype("float32")
    images = tensor(values)
    images.stop_gradient = False
    (gradient,) = paddle.grad(penalty(net, images, [1, 1, 1], 4.0), images)
    for at in [(0, 0, 0, 0), (1, 1, 1, 2), (2, 0, 1, 1)]:
        ends = []
        for step in (1e-2, -1e-2):
            moved = values.copy()
            moved[at] += step
            ends.append(float(penalty(net, tensor(moved), [1, 1, 1], 4.0)))
        assert gradient.numpy()[at] == pytest.approx((ends[0] - ends[1]) / 2e-2, rel=2e-2, abs=2e-3)


def test_a_flat_image_has_no_direction():
    net = network()
    images = paddle.concat([paddle.zeros([1, 2, 1, 2]), tensor([ACROSS])])
    assert float(penalty(net, images, [1, 1])) == 0
