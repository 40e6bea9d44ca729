"""A ReLU that a rule cannot reach gives an error, never a wrong map."""

import numpy as np
import paddle
import pytest
from network_state import state_of
from paddle import nn
from paddle.nn import functional
from relu_toys import METHODS, OPERATIONS, CallsFunction, every_rule, pixels
from tiny import small_net
from toys import images

from visualize_pd import VisualizeError, deconvnet, gradient, guided_backprop

pytestmark = pytest.mark.usefixtures("operations_are_restored")


# The last two were taken from `paddle._C_ops` before the rule replaced the operations there.
OUT_OF_REACH = {
    "function": lambda: CallsFunction(lambda x: functional.relu_(x)),
    "operation": lambda: CallsFunction(lambda x: paddle._C_ops.relu_(x)),
    "an operation imported before": lambda: CallsFunction(OPERATIONS["relu"]),
    "a relu6 imported before": lambda: CallsFunction(OPERATIONS["relu6"]),
}


@pytest.mark.parametrize("rule", ["guided", "deconvnet"])
@pytest.mark.parametrize("where", [1, 3])
@pytest.mark.parametrize("activation", OUT_OF_REACH.values(), ids=OUT_OF_REACH.keys())
def test_relu_that_the_rule_cannot_replace_is_an_error(rule, activation, where):
    """Without the error the map would be wrong."""
    network, batch = small_net(), images(2, 9, 8)
    network.train()
    network[where] = activation()
    before, pixels_before = state_of(network), batch.numpy().tobytes()
    plain = gradient(network, batch, 1).numpy()
    with pytest.raises(VisualizeError, match=rf"{rule} rule .*in place"):
        METHODS[rule](network, batch, 1)
    assert state_of(network) == before and batch.numpy().tobytes() == pixels_before
    np.testing.assert_array_equal(gradient(network, batch, 1).numpy(), plain)


@pytest.mark.parametrize("method", [guided_backprop, deconvnet])
def test_in_place_relu_without_effect_on_the_score_is_allowed(method):
    """The score does not depend on this ReLU."""

    class WithUnusedRelu(nn.Layer):
        def forward(self, x):
            functional.relu_(x * 2)
            return (x * x).sum([1, 2, 3])

    maps = method(WithUnusedRelu(), pixels([3, -2]), 0).numpy()
    np.testing.assert_array_equal(maps.ravel(), [6, -4])


class OwnForward(nn.Layer):
    """A network that calls a ReLU as a function in its own `forward`."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, x):
        return self.network[2:](functional.relu(self.network[0](x)))


def compile_part(network, part, full_graph):
    """The network with one part, or all of it, compiled by `to_static`."""
    if part == "inner":
        inner = paddle.jit.to_static(nn.Sequential(*network[:4]), full_graph=full_graph)
        return nn.Sequential(inner, *network[4:])
    whole = OwnForward(network) if part == "own forward" else network
    return paddle.jit.to_static(whole, full_graph=full_graph)


@every_rule
@pytest.mark.parametrize("full_graph", [False, True])
@pytest.mark.parametrize("part", ["whole", "inner", "own forward"])
def test_compiled_network_gives_an_error_or_the_right_map(rule, part, full_graph):
    """After `to_static`, the rule may not be able to replace the operations of the network."""
    network, batch = small_net(), images(2, 9, 8)
    expected = METHODS[rule](network, batch, 1).numpy()
    compiled = compile_part(network, part, full_graph)
    try:
        maps = METHODS[rule](compiled, batch, 1).numpy()
    except VisualizeError:
        return
    except Exception as error:
        pytest.fail(f"{type(error).__name__}: {str(error)[-200:]}", pytrace=False)
    error = np.abs(maps - expected).max() / np.abs(expected).max()
    assert error <= 1e-5


@every_rule
@pytest.mark.parametrize("part", ["whole", "inner"])
def test_loaded_program_gives_an_error_or_the_right_map(rule, part, tmp_path):
    """A program from `jit.load` has operations, but no layers."""
    network, batch = small_net(), images(2, 9, 8)
    expected = METHODS[rule](network, batch, 1).numpy()
    specification = [paddle.static.InputSpec([None, 3, None, None])]
    paddle.jit.save(small_net(), str(tmp_path / "net"), input_spec=specification)
    loaded = paddle.jit.load(str(tmp_path / "net"))
    try:
        maps = METHODS[rule](nn.Sequential(loaded) if part == "inner" else loaded, batch, 1)
    except VisualizeError:
        return
    error = np.abs(maps.numpy() - expected).max() / np.abs(expected).max()
    assert error <= 1e-5
