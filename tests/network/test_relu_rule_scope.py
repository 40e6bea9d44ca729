"""A ReLU rule holds only inside its block, and changes nothing but the backward pass."""

import numpy as np
import paddle
import pytest
from paddle import nn
from paddle.nn import functional
from relu_toys import OPERATIONS
from tiny import small_net
from toys import images

from visualize_pd import deconvnet, gradient, guided_backprop
from visualize_pd.network.gradients import record_forward
from visualize_pd.network.relu_rules import relu_rule

pytestmark = pytest.mark.usefixtures("operations_are_restored")


@pytest.mark.parametrize("rule", ["guided", "deconvnet"])
@pytest.mark.parametrize("activation", [nn.ReLU, nn.ReLU6])
def test_forward_pass_is_not_changed(rule, activation):
    network, batch = small_net(), images(2, 9, 8) * 20
    network[1], network[3] = activation(), activation()
    logits = record_forward(network, batch, relu=rule).logits
    np.testing.assert_array_equal(logits.numpy(), network(batch).numpy())


@pytest.mark.parametrize("method", [guided_backprop, deconvnet])
def test_later_gradients_and_training_are_not_changed(method):
    """The gradient of the same network, and the training of another network."""
    network, other, batch = small_net(), small_net(5), images(2, 9, 8)

    def training_gradient():
        loss = (other(batch) ** 2).sum()
        (of_weight,) = paddle.grad(loss, other[0].weight)
        return of_weight.numpy()

    before, training_before = gradient(network, batch, 1).numpy(), training_gradient()
    assert np.abs(method(network, batch, 1).numpy() - before).max() > 0
    np.testing.assert_array_equal(gradient(network, batch, 1).numpy(), before)
    np.testing.assert_array_equal(training_gradient(), training_before)


def gradient_of_relu(values, weights):
    """∂/∂values of Σ weights · relu(values), by the rule that holds now."""
    values = paddle.to_tensor(np.float32(values), stop_gradient=False)
    (found,) = paddle.grad((functional.relu(values) * paddle.to_tensor(weights)).sum(), values)
    return found.numpy().tolist()


def test_rule_holds_only_inside_its_block():
    values, weights = [1, 1, -1, -1], [2.0, -2, 2, -2]
    plain, guided, deconvolved = [2, -2, 0, 0], [2, 0, 0, 0], [2, 0, 2, 0]
    assert gradient_of_relu(values, weights) == plain
    with relu_rule("guided"):
        assert gradient_of_relu(values, weights) == guided
    assert gradient_of_relu(values, weights) == plain
    with relu_rule("deconvnet"):
        assert gradient_of_relu(values, weights) == deconvolved
        with relu_rule("guided"):
            assert gradient_of_relu(values, weights) == guided
        assert gradient_of_relu(values, weights) == deconvolved
    with relu_rule(None):
        assert gradient_of_relu(values, weights) == plain
    assert gradient_of_relu(values, weights) == plain


def test_recorded_pass_keeps_its_rule_after_the_block():
    values = paddle.to_tensor([1.0, 1, -1], stop_gradient=False)
    with relu_rule("deconvnet"):
        score = (functional.relu(values) * paddle.to_tensor([2.0, -2, 2])).sum()
    assert paddle.grad(score, values)[0].numpy().tolist() == [2, 0, 2]


@pytest.mark.parametrize("method", [guided_backprop, deconvnet])
@pytest.mark.parametrize("where", [0, 2, 6])
def test_operations_are_restored_after_an_exception(method, where):
    network = small_net()

    def explode(*_):
        assert paddle._C_ops.relu is not OPERATIONS["relu"]  # the rule holds at this point
        assert paddle._C_ops.relu6 is not OPERATIONS["relu6"]
        raise ZeroDivisionError

    network[where].register_forward_pre_hook(explode)
    with pytest.raises(ZeroDivisionError):
        method(network, images(1, 9, 8), 0)
    assert paddle._C_ops.relu is OPERATIONS["relu"]
    assert paddle._C_ops.relu6 is OPERATIONS["relu6"]
