"""Randomisation: which layers become random, for which class, and that the network is restored."""

import numpy as np
import paddle
import pytest
from network_state import state_of
from paddle import nn
from random_layers import LAYERS, Watching, trained
from toys import images

from visualize_pd import VisualizeError, gradient
from visualize_pd.evaluate import randomisation

KEYS = {  # of its parameters and buffers
    "8": ["8.weight", "8.bias"],
    "3": ["3.weight", "3.bias"],
    "1": ["1.weight", "1.bias", "1._mean", "1._variance"],
    "0": ["0.weight", "0.bias"],
}


def changed(before, after):
    """The names of the values that differ between two states."""
    return {name for name in before if not np.array_equal(before[name], after[name])}


@pytest.mark.parametrize("mode", ["cascading", "independent"])
def test_layers_become_random_from_the_last_to_the_first(mode):
    network, watch = trained(), Watching()
    found = randomisation(network, images(2, 14, 11), watch, [1, 3], mode=mode)
    assert [each.layer for each in found] == ["trained", *LAYERS]
    start = {name: value.numpy() for name, value in network.state_dict().items()}
    assert changed(start, watch.states[0]) == set()
    for number, layer in enumerate(LAYERS, 1):
        random = LAYERS[:number] if mode == "cascading" else [layer]
        wanted = {key for name in random for key in KEYS[name]}
        assert changed(start, watch.states[number]) == wanted
        if mode == "cascading":  # layers that were random before keep their values
            assert changed(watch.states[number - 1], watch.states[number]) == set(KEYS[layer])


@pytest.mark.parametrize("mode", ["cascading", "independent"])
def test_only_requested_layers_become_random(mode):
    network, watch = trained(), Watching()
    found = randomisation(
        network, images(1, 14, 11), watch, 1, mode=mode, layers=["1", "8"], seed=4
    )
    assert [each.layer for each in found] == ["trained", "1", "8"]
    assert changed(watch.states[0], watch.states[1]) == set(KEYS["1"])
    both = {*KEYS["1"], *KEYS["8"]} if mode == "cascading" else set(KEYS["8"])
    assert changed(watch.states[0], watch.states[2]) == both


def test_cascading_is_the_default():
    network, batch = trained(), images(1, 14, 11)
    plain, named, other = (
        randomisation(network, batch, gradient, 1, **options)
        for options in ({}, {"mode": "cascading", "seed": 0}, {"mode": "independent"})
    )
    np.testing.assert_array_equal(plain[-1].maps, named[-1].maps)
    assert np.abs(plain[-1].maps - other[-1].maps).max() > 1e-3


@pytest.mark.parametrize("mode", ["cascading", "independent"])
def test_network_is_restored_bit_by_bit(mode):
    network, batch = trained(), images(2, 14, 11)
    before, pixels = state_of(network), batch.numpy().tobytes()
    held = [id(value) for value in (*network.parameters(), *network.buffers())]
    randomisation(network, batch, gradient, 1, mode=mode)
    assert state_of(network) == before and batch.numpy().tobytes() == pixels
    assert [id(value) for value in (*network.parameters(), *network.buffers())] == held


class OwnBatchNorm(nn.Layer):
    """A batch norm of the user's own, whose statistics are buffers."""

    def __init__(self):
        super().__init__()
        self.weight = self.create_parameter([3])
        self.register_buffer("_mean", paddle.to_tensor([0.1, 0.2, 0.3]))
        self.register_buffer("_variance", paddle.to_tensor([4.0, 5, 6]))

    def forward(self, x):
        mean, variance = (v.reshape([1, 3, 1, 1]) for v in (self._mean, self._variance))
        return (x - mean) * self.weight.reshape([1, 3, 1, 1]) / paddle.sqrt(variance)


@pytest.mark.parametrize("mode", ["cascading", "independent"])
def test_buffers_are_restored_bit_by_bit(mode):
    network = nn.Sequential(OwnBatchNorm(), nn.Flatten(), nn.Linear(105, 4))
    before = state_of(network)
    randomisation(network, images(), gradient, 1, mode=mode)
    assert len(before["values"]) == 5 and state_of(network) == before
    with pytest.raises(ZeroDivisionError):
        randomisation(network, images(), Watching(explode_at=2), 1, mode=mode)
    assert state_of(network) == before


@pytest.mark.parametrize("mode", ["cascading", "independent"])
@pytest.mark.parametrize("explode_at", [0, 1, 3, 4])
def test_network_is_restored_after_an_exception_in_the_method(mode, explode_at):
    network = trained()
    before = state_of(network)
    with pytest.raises(ZeroDivisionError):
        randomisation(network, images(2, 14, 11), Watching(explode_at), 1, mode=mode)
    assert state_of(network) == before


def test_network_is_restored_after_an_exception_inside_it():
    network, calls = trained(), []

    def explode(*_):
        calls.append(1)
        if len(calls) == 5:
            raise ZeroDivisionError

    handle = network[7].register_forward_pre_hook(explode)
    before = state_of(network)
    with pytest.raises(ZeroDivisionError):
        randomisation(network, images(2, 14, 11), gradient, 1)
    assert state_of(network) == before
    handle.remove()


def test_same_seed_same_result():
    network, batch = trained(), images(2, 14, 11)
    first, again, other = (
        randomisation(network, batch, gradient, 1, seed=seed) for seed in (3, 3, 4)
    )
    for one, two, three in zip(first[1:], again[1:], other[1:]):
        np.testing.assert_array_equal(one.maps, two.maps)
        np.testing.assert_array_equal(one.ssim, two.ssim)
        assert np.abs(one.maps - three.maps).max() > 1e-3


def test_default_class_is_the_prediction_of_the_trained_network():
    network, batch, watch = trained(), images(4, 14, 11), Watching()
    network.eval()
    top = network(batch).numpy().argmax(1).tolist()
    tops = []

    def method(network, batch, targets):
        tops.append(network(batch).numpy().argmax(1).tolist())
        return watch(network, batch, targets)

    randomisation(network, batch, method)
    assert watch.targets == [top] * 5
    assert any(each != top for each in tops)  # the random network predicts another class


@pytest.mark.parametrize(("asked", "expected"), [(2, [2, 2]), ([3, 1], [3, 1])])
def test_requested_class_is_passed_to_the_method(asked, expected):
    watch = Watching()
    randomisation(trained(), images(2, 14, 11), watch, asked)
    assert watch.targets == [expected] * 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "backwards"}, "mode 'backwards'; use cascading, independent"),
        ({"mode": None}, "mode"),
        ({"layers": ["head"]}, "no layer 'head'"),
        ({"layers": ["8", "99"]}, "no layer '99'"),
        ({"layers": []}, "no layer named"),
        ({"seed": -1}, "seed"),
        ({"seed": 0.5}, "seed"),
        ({"targets": 4}, "class 4 does not exist"),
        ({"targets": [1]}, "1 targets for 2 images"),
    ],
    ids=str,
)
def test_message_names_the_wrong_option(options, message):
    network = trained()
    before = state_of(network)
    with pytest.raises(VisualizeError, match=message):
        randomisation(network, images(2, 14, 11), gradient, **options)
    assert state_of(network) == before


def test_network_without_parameters_is_refused():
    network = nn.Sequential(nn.AdaptiveAvgPool2D(1), nn.Flatten())
    with pytest.raises(VisualizeError, match="no layers with parameters"):
        randomisation(network, images(2, 14, 11), gradient, 1)
