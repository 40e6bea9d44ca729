"""What all measures promise: a batch gives what single images give, and nothing is left changed."""

import numpy as np
import pytest
from convnet import convolutional
from known_scores import ALL_MEASURES, MAP_MEASURES, Recording, W, logits_of, measured
from network_state import state_of
from toys import Linear, close, images

from visualize_pd.evaluate import average_gain, max_sensitivity


@pytest.mark.parametrize("method", ALL_MEASURES)
def test_batch_gives_what_single_images_give(method):
    network, batch = convolutional(), images(3, 14, 11)
    maps, targets = images(3, 14, 11, seed=4).numpy(), [0, 3, 1]
    together = measured(method, network, batch, maps, targets)
    for i, target in enumerate(targets):
        alone = measured(method, network, batch[i : i + 1], maps[i : i + 1], target)[0]
        close(together[i], alone)


@pytest.mark.parametrize("method", MAP_MEASURES)
@pytest.mark.parametrize("batch_size", [1, 7, 1000])
def test_batch_size_changes_nothing(method, batch_size):
    network, batch, maps = convolutional(), images(3, 14, 11), images(3, 14, 11, seed=4).numpy()
    expected = measured(method, network, batch, maps, [0, 3, 1])
    close(measured(method, network, batch, maps, [0, 3, 1], batch_size=batch_size), expected)


@pytest.mark.parametrize("method", MAP_MEASURES)
def test_no_pass_is_larger_than_the_batch_size(method):
    network, batch = Recording(W), images(5)
    measured(
        method, network, batch, images(5, seed=4).numpy(), 0, batch_size=6, score="probability"
    )
    assert max(len(batch) for batch in network.inputs) <= 6


@pytest.mark.parametrize("method", MAP_MEASURES)
def test_default_class_is_that_of_the_unchanged_image(method):
    """The network predicts other classes for the changed images."""
    batch, maps, network = images(4), images(4, seed=4).numpy(), Recording(W)
    options = {"baseline": -batch, "noise": 3.0}
    top = logits_of(batch.numpy()).argmax(1)
    expected = measured(method, Linear(W), batch, maps, top.tolist(), **options)
    np.testing.assert_array_equal(measured(method, network, batch, maps, **options), expected)
    assert (logits_of(-batch.numpy()).argmax(1) != top).all()
    assert any(set(logits_of(seen).argmax(1)) - set(top) for seen in network.inputs[1:])
    other = measured(method, Linear(W), batch, maps, ((top + 1) % 3).tolist(), **options)
    changes = np.abs(other - expected).max(axis=1)
    assert (changes.max() if method is average_gain else changes.min()) > 1e-3


@pytest.mark.parametrize("method", ALL_MEASURES)
def test_network_images_and_maps_stay_unchanged(method):
    network, batch, maps = convolutional(), images(2, 14, 11), images(2, 14, 11, seed=4).numpy()
    before, pixels, heat = state_of(network), batch.numpy().tobytes(), maps.tobytes()
    measured(method, network, batch, maps, 1)
    assert state_of(network) == before
    assert batch.stop_gradient and batch.grad is None and batch.numpy().tobytes() == pixels
    assert maps.tobytes() == heat


@pytest.mark.parametrize("method", ALL_MEASURES)
@pytest.mark.parametrize("call", [1, 2, 3])
def test_network_is_unchanged_after_an_exception_inside_it(method, call):
    network, calls = convolutional(), []

    def explode(*_):
        calls.append(1)
        if len(calls) == call:
            raise ZeroDivisionError

    handle = network[7].register_forward_pre_hook(explode)
    before = state_of(network)
    maps = images(2, 14, 11, seed=4).numpy()
    options = {} if method is max_sensitivity else {"batch_size": 1}
    with pytest.raises(ZeroDivisionError):
        measured(method, network, images(2, 14, 11), maps, 1, **options)
    assert state_of(network) == before
    handle.remove()


@pytest.mark.parametrize("method", ALL_MEASURES)
def test_measures_run_in_evaluation_mode(method):
    network, batch, maps = convolutional(), images(2, 14, 11), images(2, 14, 11, seed=4).numpy()
    in_training = measured(method, network, batch, maps, 1)
    network.eval()
    np.testing.assert_array_equal(measured(method, network, batch, maps, 1), in_training)
