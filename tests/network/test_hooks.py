"""`frozen` and `capture_outputs` change a network only inside their block."""

import paddle
import pytest
from tiny import small_net

from visualize_pd.network.hooks import capture_outputs, frozen


def test_frozen_restores_every_layer_and_parameter():
    network = small_net()
    network.train()
    network[3].eval()
    network[0].bias.stop_gradient = True
    modes = [layer.training for layer in network.sublayers(include_self=True)]
    flags = [p.stop_gradient for p in network.parameters()]
    with pytest.raises(KeyError), frozen(network):
        assert not any(layer.training for layer in network.sublayers(include_self=True))
        assert all(p.stop_gradient for p in network.parameters())
        raise KeyError
    assert [layer.training for layer in network.sublayers(include_self=True)] == modes
    assert [p.stop_gradient for p in network.parameters()] == flags
    assert set(modes) == set(flags) == {True, False}  # the network has layers of both kinds


def test_capture_outputs_collects_every_call_in_its_block():
    network = small_net()
    batch = paddle.ones([2, 3, 8, 8])
    with capture_outputs(network[1]) as outputs:
        network(batch)
        network(batch * 2)
    network(batch)
    assert [layer for layer, _ in outputs] == [network[1]] * 2
    expected = paddle.nn.functional.relu(network[0](batch * 2))
    assert (outputs[1][1] == expected).all()


def test_capture_outputs_ends_after_an_exception():
    network = small_net()
    with pytest.raises(KeyError), capture_outputs(network[1]) as outputs:
        raise KeyError
    network(paddle.ones([1, 3, 8, 8]))
    assert outputs == []
