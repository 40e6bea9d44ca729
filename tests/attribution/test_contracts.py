"""What every attribution method promises. Each test runs for all that take any network.

The methods that need attention have the same tests in `attention/test_attention_contracts.py`.
"""

import functools

import numpy as np
import paddle
import pytest
from convnet import convolutional
from every_method import METHODS
from network_state import state_of
from paddle import nn
from toys import Linear, images, weights
from transformers import ATTENTION_METHODS

from visualize_pd import VisualizeError

ANY_NETWORK = {name: method for name, method in METHODS.items() if name not in ATTENTION_METHODS}
pytestmark = [
    pytest.mark.parametrize("method", ANY_NETWORK.values(), ids=ANY_NETWORK.keys()),
    pytest.mark.usefixtures("fast_and_plain"),
]


def with_feature_maps(network):
    """A convolution that returns the image itself, and then a network without feature maps."""
    conv = nn.Conv2D(3, 3, 1, bias_attr=False)
    conv.weight.set_value(np.eye(3, dtype="float32")[:, :, None, None])
    return nn.Sequential(conv, network)


def is_one_of(method, *names):
    return method in [METHODS[name] for name in names]


def test_batch_gives_what_single_images_give(method):
    network, batch, targets = convolutional(), images(3, 14, 11), [0, 3, 1]
    together = method(network, batch, targets).numpy()
    for i, target in enumerate(targets):
        alone = method(network, batch[i : i + 1], target).numpy()[0]
        assert np.abs(together[i] - alone).max() <= 1e-5 * np.abs(alone).max()


def test_network_and_images_are_not_changed(method):
    network, batch = convolutional(), images(2, 14, 11)
    before, pixels = state_of(network), batch.numpy().tobytes()
    method(network, batch, 1)
    assert state_of(network) == before
    assert batch.stop_gradient and batch.grad is None and batch.numpy().tobytes() == pixels


def test_network_is_restored_after_an_exception(method):
    network = convolutional()

    def explode(*_):
        raise ZeroDivisionError

    handle = network[7].register_forward_pre_hook(explode)
    before = state_of(network)
    with pytest.raises(ZeroDivisionError):
        method(network, images(2, 14, 11), 1)
    assert state_of(network) == before
    handle.remove()


def test_images_with_gradients_are_not_changed(method):
    batch = images(1, 14, 11)
    batch.stop_gradient = False
    maps = method(convolutional(), batch, 1)
    assert batch.grad is None and not batch.stop_gradient and maps.stop_gradient


def test_method_works_inside_no_grad(method):
    network, batch = convolutional(), images(2, 14, 11)
    expected = method(network, batch, 1).numpy()
    with paddle.no_grad():
        np.testing.assert_array_equal(method(network, batch, 1).numpy(), expected)


def test_requested_class_is_explained(method):
    """Also where another class is predicted."""
    w, batch = weights(), images()
    network = with_feature_maps(Linear(w))
    if is_one_of(method, "rise"):  # its default, the probability, depends on all classes
        method = functools.partial(method, score="logit")
    for target in range(3):
        only = np.zeros_like(w)
        only[target] = w[target]  # a network with the weights of this class alone
        maps = method(network, batch, target).numpy()
        expected = method(with_feature_maps(Linear(only)), batch, target).numpy()
        np.testing.assert_allclose(maps, expected)
        assert np.abs(maps).sum() > 1e-3


def test_maps_of_two_classes_differ(method):
    network, batch = with_feature_maps(Linear(weights())), images()
    first, second = (method(network, batch, target).numpy() for target in (0, 1))
    of_no_class = is_one_of(method, "eigen_cam", "activation_gradient")
    assert np.array_equal(first, second) == of_no_class


def test_first_forward_pass_is_on_the_images(method):
    """The predictions in a figure come from this pass."""
    network, batch, inputs = convolutional(), images(2, 14, 11), []
    network.register_forward_pre_hook(lambda _, x: inputs.append(x[0].numpy()))
    method(network, batch, 1)
    np.testing.assert_array_equal(inputs[0], batch.numpy())


def test_network_is_explained_in_evaluation_mode(method):
    network, batch = convolutional(), images(2, 14, 11)
    in_training = method(network, batch, 1).numpy()
    network.eval()
    np.testing.assert_array_equal(method(network, batch, 1).numpy(), in_training)


class Constant(nn.Layer):
    def forward(self, batch):
        return paddle.ones([batch.shape[0], 3])


class Unconnected(nn.Layer):
    """Its logits depend on the image with a gradient of 0."""

    def __init__(self):
        super().__init__()
        self.bias = self.create_parameter([3])

    def forward(self, batch):
        return paddle.zeros([batch.shape[0], 3]) + self.bias + (batch * 0).sum([1, 2, 3])[:, None]


@pytest.mark.parametrize("network", [Constant(), Unconnected()], ids=["constant", "unconnected"])
def test_score_without_a_gradient_gives_zeros(method, network):
    maps = method(with_feature_maps(network), images(), 1).numpy()
    assert maps.shape[0] == 2 and np.isfinite(maps).all()
    if not is_one_of(method, "eigen_cam", "activation_gradient", "score_cam", "rise"):
        assert not maps.any()


def test_constant_image_gives_finite_maps(method):
    maps = method(convolutional(), paddle.zeros([1, 3, 14, 11]), 1).numpy()
    assert np.isfinite(maps).all()


def test_height_and_width_are_not_swapped(method):
    """The score depends on one pixel only, in row 7 and column 1."""
    w = np.zeros((1, 3, 9, 4), dtype="float32")
    w[0, :, 7, 1] = 2
    image = np.zeros((1, 3, 9, 4), dtype="float32")
    image[0, :, 7, 1] = [1, 2, 3]
    network = with_feature_maps(Linear(w))
    maps = np.abs(method(network, paddle.to_tensor(image), 0).numpy()[0]).sum(0)
    assert maps.shape == (9, 4)
    if is_one_of(method, "rise", "sobol", "hsic", "lime", "kernel_shap", "xrai"):
        assert maps[5:, :3].mean() > 1.02 * maps[:4].mean()
    elif not is_one_of(method, "activation_gradient"):
        assert set(zip(*np.nonzero(maps))) == {(7, 1)}


@pytest.mark.parametrize("target", [None, 0])
def test_network_with_a_single_class(method, target):
    w = weights(classes=1)
    expected = method(with_feature_maps(Linear(w)), images(), 0).numpy()
    assert np.isfinite(expected).all() and expected.any()
    maps = method(with_feature_maps(Linear(w)), images(), target).numpy()
    np.testing.assert_array_equal(maps, expected)


class WithAuxiliary(Linear):
    def forward(self, batch):
        logits = super().forward(batch)
        return [logits, -logits, -logits]


def test_network_with_auxiliary_outputs(method):
    w, batch = weights(), images()
    expected = method(with_feature_maps(Linear(w)), batch, 2).numpy()
    maps = method(with_feature_maps(WithAuxiliary(w)), batch, 2).numpy()
    np.testing.assert_array_equal(maps, expected)


def test_numpy_array_is_not_a_tensor(method):
    with pytest.raises(VisualizeError, match=r"must be a paddle\.Tensor"):
        method(convolutional(), images().numpy())


def memory_in_use():
    """The memory of all tensors of this process, in bytes."""
    return paddle.base.core.host_memory_stat_current_value("Allocated", 0)


SIDE = 180
FEW = {
    "rise": {"masks": 2},
    "sobol": {"samples": 2, "cells": 1},
    "hsic": {"samples": 2},
    "lime": {"samples": 2, "segments": "grid"},
    "kernel_shap": {"samples": 2, "segments": "grid"},
    "xrai": {"steps": 1, "segments": paddle.zeros([1, SIDE, SIDE], dtype="int64")},
    "occlusion": {"size": 140, "stride": 140},
    "smooth_grad": {"samples": 2},
    "integrated_gradients": {"steps": 2},
    "gradient_shap": {"samples": 2},
    "expected_gradients": {"samples": 2},
    "guided_ig": {"steps": 2},
    "blur_ig": {"steps": 1, "max_sigma": 0.5},
}


@pytest.mark.filterwarnings("ignore")
def test_memory_of_a_pass_is_released(method):
    """A pass of this network records three megabytes."""
    network = nn.Sequential(
        *(layer for _ in range(4) for layer in (nn.Conv2D(3, 3, 1), nn.ReLU())),
        nn.AdaptiveAvgPool2D(1),
        nn.Flatten(),
        nn.Linear(3, 2),
    )
    batch = paddle.randn([1, 3, SIDE, SIDE])
    memory = []
    for _ in range(4):
        method(network, batch, 1, **FEW.get(method.__name__, {}))
        memory.append(memory_in_use())
    assert memory[-1] <= memory[1]
