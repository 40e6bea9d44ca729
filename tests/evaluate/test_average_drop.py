"""Average drop and increase in confidence."""

import numpy as np
import paddle
import pytest
from known_scores import VALUES, W, as_map, network_of_shares
from network_state import state_of
from paddle import nn
from toys import Linear, close, images

from visualize_pd import VisualizeError
from visualize_pd.evaluate import average_drop, average_gain


def test_average_drop_by_hand():
    """The score is 8 + 1 + 4 + 2 = 15. Times the map 1, 0, ½, 0 it is 8 + 4/2 = 10.

    The −½ of the map counts as 0.
    """
    network, batch = network_of_shares(VALUES)
    drop = average_drop(network, batch, as_map([[2, -1], [1, 0]]), 0, score="logit")
    close(drop.drops, [1 / 3])
    assert not drop.increases.any()


def test_score_that_rises_is_an_increase_and_no_drop():
    network, batch = network_of_shares([[8, -5], [4, 2]])
    drop = average_drop(network, batch, as_map([[2, -1], [1, 0]]), 0, score="logit")
    assert drop.drops.tolist() == [0] and drop.increases.tolist() == [True]


@pytest.mark.parametrize("value", [0.2, 1, 30])
def test_constant_map_hides_nothing_and_drops_nothing(value):
    network, batch = network_of_shares(VALUES)
    drop = average_drop(network, batch, np.full((1, 1, 2, 2), value), 0, score="logit")
    assert drop.drops.tolist() == [0] and drop.increases.tolist() == [False]


@pytest.mark.parametrize("value", [0, -1, -1e-30])
def test_map_without_positive_values_drops_everything(value):
    network, batch = network_of_shares(VALUES)
    drop = average_drop(network, batch, np.full((1, 1, 2, 2), value), 0, score="logit")
    close(drop.drops, [1])
    assert drop.increases.tolist() == [False]


def test_default_score_is_the_probability():
    network, batch = network_of_shares(VALUES, others=[[[1.0, 14.0], [0.0, 1.0]]])
    maps = np.array([[[3, -9], [0, 0]], [[-1, 5], [1, 0]]])[None]  # sums 2, −4, 1, 0
    whole, shown = 1 / (1 + np.exp(16 - 15)), 1 / (1 + np.exp(1 - 10))
    drop = average_drop(network, batch, maps, 0)
    assert shown > whole and drop.drops.tolist() == [0] and drop.increases.tolist() == [True]
    drop = average_drop(network, batch, maps, 1)
    close(drop.drops, [1 - (1 - shown) / (1 - whole)])
    assert drop.increases.tolist() == [False]


def test_gain_is_the_share_of_what_the_probability_lacks():
    """The gain of class 1 would be negative, so it is 0. A map of ones changes nothing."""
    network, batch = network_of_shares(VALUES, others=[[[1.0, 14.0], [0.0, 1.0]]])
    maps = np.array([[[3, -9], [0, 0]], [[-1, 5], [1, 0]]])[None]  # sums 2, −4, 1, 0
    whole, shown = 1 / (1 + np.exp(16 - 15)), 1 / (1 + np.exp(1 - 10))
    close(average_gain(network, batch, maps, 0), [(shown - whole) / (1 - whole)])
    assert average_gain(network, batch, maps, 1).tolist() == [0]
    assert average_gain(network, batch, np.ones((1, 1, 2, 2)), 0).tolist() == [0]


def test_nothing_is_gained_where_nothing_is_lacking():
    """The probability is 1 in float32."""
    network, batch = network_of_shares([[80.0, 1.0], [4.0, 2.0]], others=[np.zeros((2, 2))])
    assert average_gain(network, batch, as_map(VALUES), 0).tolist() == [0]


def test_each_map_is_scaled_by_its_own_maximum():
    batch = paddle.ones([2, 3, 2, 2])
    network, _ = network_of_shares(VALUES)
    maps = np.concatenate([as_map([[2, 0], [1, 0]]), as_map([[20, 0], [0, 10]])])
    drop = average_drop(network, batch, maps, 0, score="logit")
    close(drop.drops, [(15 - 10) / 15, (15 - 9) / 15])


@pytest.mark.parametrize("values", [[[-8, 1], [4, 2]], [[-7, 1], [4, 2]]])
def test_scores_of_zero_and_below_are_refused(values):
    """The drop is a share of the score, which must be positive."""
    network, batch = network_of_shares(values)
    with pytest.raises(VisualizeError, match="score=logit is not over 0"):
        average_drop(network, batch, np.ones((1, 1, 2, 2)), 0, score="logit")


def test_log_probability_is_refused():
    with pytest.raises(VisualizeError, match="score=log_probability is not over 0"):
        average_drop(Linear(W), images(), np.ones((2, 1, 5, 7)), 1, score="log_probability")


def test_network_is_unchanged_after_a_refused_score():
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))
    network[1].weight.set_value(-np.ones((12, 2), dtype="float32"))
    before = state_of(network)
    with pytest.raises(VisualizeError, match="not over 0"):
        average_drop(network, paddle.ones([1, 3, 2, 2]), np.ones((1, 1, 2, 2)), score="logit")
    assert state_of(network) == before and network.training
