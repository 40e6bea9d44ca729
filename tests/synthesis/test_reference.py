"""The reference prior: sorted activations, by hand on layers that return what they get."""

import numpy as np
import paddle
import pytest

from visualize_pd.core.errors import ConfigError
from visualize_pd.synthesis.priors.reference import Reference, interpolation


def network():
    """Two layers that return their input."""
    return paddle.nn.Sequential(paddle.nn.Identity(), paddle.nn.Identity())


def tensor(values):
    return paddle.to_tensor(np.asarray(values, "float32"))


def penalty(prior, net, images):
    with prior.watch():
        net(images)
    return prior.penalty()


def test_distance_by_hand():
    """Sorted, [1, 2, 3, 4] and [3, 4, 5, 6] have the mean q = [2, 3, 4, 5], Σ q² = 54."""
    net = network()
    photographs = [tensor([[[[4, 1], [3, 2]]]]), tensor([[[[3, 5], [4, 6]]]])]
    prior = Reference(net, photographs, 2.0, ["0"])
    # [5, 0, 3, 3] is [0, 3, 3, 5] sorted; the differences from q are −2, 0, −1, 0.
    found = penalty(prior, net, tensor([[[[5, 0], [3, 3]]]]))
    assert float(found) == pytest.approx(2 * 5 / 54)


def test_the_order_of_places_does_not_count():
    net, random = network(), np.random.default_rng(0)
    photograph = random.normal(size=(1, 3, 4, 5))
    moved = random.permutation(photograph.reshape(1, 3, 20), axis=2).reshape(1, 3, 4, 5)
    prior = Reference(net, [tensor(photograph)], 1.0, ["0", "1"])
    assert float(penalty(prior, net, tensor(moved))) == pytest.approx(0, abs=1e-9)
    swapped = photograph[:, ::-1].copy()  # but the order of the channels counts
    assert float(penalty(prior, net, tensor(swapped))) > 0.01


def test_images_of_a_batch_add_up_and_layers_are_averaged():
    net, random = network(), np.random.default_rng(1)
    photograph, one, two = (tensor(random.normal(size=(1, 2, 3, 3))) for _ in range(3))
    single = Reference(net, [photograph], 1.0, ["0"])
    both = Reference(net, [photograph], 1.0, ["0", "1"])
    parts = [float(penalty(single, net, image)) for image in (one, two)]
    assert float(penalty(both, net, paddle.concat([one, two]))) == pytest.approx(sum(parts))


def test_gradient_equals_finite_differences():
    net, random = network(), np.random.default_rng(2)
    prior = Reference(net, [tensor(random.normal(size=(1, 2, 3, 4)))], 3.0, ["1"])
    values = random.normal(size=(2, 2, 3, 4)).astype("float32")
    images = tensor(values)
    images.stop_gradient = False
    (gradient,) = paddle.grad(penalty(prior, net, images), images)
    for at in [(0, 0, 0, 0), (1, 1, 2, 3), (0, 1, 1, 2)]:
        ends = []
        for step in (1e-2, -1e-2):
            moved = values.copy()
            moved[at] += step
            ends.append(float(penalty(prior, net, tensor(moved))))
        assert gradient.numpy()[at] == pytest.approx((ends[0] - ends[1]) / 2e-2, rel=2e-2, abs=1e-4)


def test_another_size_interpolates_the_ranks():
    np.testing.assert_allclose(interpolation(3, 3), np.eye(3))
    np.testing.assert_allclose(np.arange(4.0) @ interpolation(4, 2), [0.5, 2.5])
    np.testing.assert_allclose(np.arange(2.0) @ interpolation(2, 4), [0, 0.25, 0.75, 1])
    np.testing.assert_allclose(interpolation(1, 3), np.ones((1, 3)))
    net = network()
    prior = Reference(net, [tensor(np.full((1, 2, 4, 4), 3.0))], 1.0, ["0"])
    assert float(penalty(prior, net, tensor(np.full((1, 2, 2, 5), 3.0)))) == pytest.approx(0)
    # Twice the value everywhere: Σ (6 − 3)² / Σ 3² = 1, at any size.
    assert float(penalty(prior, net, tensor(np.full((1, 2, 2, 5), 6.0)))) == pytest.approx(1)


def test_default_layers_are_the_last_of_each_size_without_the_largest():
    net = paddle.nn.Sequential(
        paddle.nn.Conv2D(1, 2, 1),
        paddle.nn.Conv2D(2, 2, 2, stride=2),
        paddle.nn.ReLU(),
        paddle.nn.Conv2D(2, 2, 2, stride=2),
        paddle.nn.AdaptiveAvgPool2D(1),
        paddle.nn.Flatten(),
    )
    assert Reference(net, [paddle.ones([1, 1, 8, 8])], 1.0).names == ["2", "3"]


def test_an_unknown_layer_is_refused_and_no_hook_stays():
    net = network()
    with pytest.raises(ConfigError, match="no layer 'here'"):
        Reference(net, [paddle.ones([1, 1, 2, 2])], 1.0, ["here"])
    prior = Reference(net, [paddle.ones([1, 1, 2, 2])], 1.0, ["0"])
    with pytest.raises(RuntimeError, match="broken"), prior.watch():
        raise RuntimeError("broken")
    assert not net[0]._forward_post_hooks
