"""What every attribution method promises, for the methods that need attention."""

import numpy as np
import paddle
import pytest
from network_state import state_of
from transformers import ATTENTION_METHODS, Vit

from visualize_pd import METHODS, VisualizeError

pytestmark = [
    pytest.mark.parametrize("method", [METHODS[name] for name in ATTENTION_METHODS]),
    pytest.mark.usefixtures("fast_and_plain"),
]


def images(count=2):
    values = np.random.default_rng(0).standard_normal((count, 3, 12, 8), dtype="float32")
    return paddle.to_tensor(values)


@pytest.fixture
def network():
    paddle.seed(0)
    built = Vit()
    built.train()
    built.head.weight.stop_gradient = True
    return built


def test_network_and_images_are_not_changed(method, network):
    batch = images()
    before, pixels = state_of(network), batch.numpy().tobytes()
    maps = method(network, batch, 1)
    assert state_of(network) == before and maps.stop_gradient
    assert batch.stop_gradient and batch.grad is None and batch.numpy().tobytes() == pixels


@pytest.mark.parametrize("place", ["blocks.1.mlp.0", "blocks.2.attn.proj", "head"])
def test_network_is_restored_after_an_exception(method, network, place):
    def explode(*_):
        raise ZeroDivisionError

    layer = dict(network.named_sublayers())[place]
    handle = layer.register_forward_pre_hook(explode)
    before, operation = state_of(network), paddle._C_ops.softmax
    with pytest.raises(ZeroDivisionError):
        method(network, images(), 1)
    assert state_of(network) == before and paddle._C_ops.softmax is operation
    handle.remove()
    assert not any(
        each._forward_pre_hooks or each._forward_post_hooks for each in network.sublayers()
    )


def test_method_works_inside_no_grad_and_in_evaluation_mode(method, network):
    expected = method(network, images(), 1).numpy()
    assert expected.min() >= 0 and np.ptp(expected) > 0
    with paddle.no_grad():
        np.testing.assert_array_equal(method(network, images(), 1).numpy(), expected)
    network.eval()
    np.testing.assert_array_equal(method(network, images(), 1).numpy(), expected)


def test_requested_class_is_explained(method, network):
    first, second = (method(network, images(), target).numpy() for target in (0, 1))
    ignored = method is METHODS["attention_rollout"]
    assert np.array_equal(first, second) == ignored
    network.eval()
    best = network(images()).argmax(axis=1).tolist()
    predicted = method(network, images()).numpy()
    np.testing.assert_array_equal(predicted, method(network, images(), best).numpy())


def test_first_forward_pass_is_on_the_images(method, network):
    """The predictions in a figure come from this pass."""
    inputs, batch = [], images()
    network.register_forward_pre_hook(lambda _, x: inputs.append(x[0].numpy()))
    method(network, batch, 1)
    np.testing.assert_array_equal(inputs[0], batch.numpy())


def test_wrong_input_is_an_error(method, network):
    with pytest.raises(VisualizeError, match=r"must be a paddle\.Tensor"):
        method(network, images().numpy(), 1)
    with pytest.raises(VisualizeError, match="class 5 does not exist"):
        method(network, images(), 5)
    with pytest.raises(VisualizeError, match="no attention was found"):
        method(paddle.nn.Sequential(paddle.nn.Conv2D(3, 4, 3), paddle.nn.Flatten()), images(), 1)
