"""Insertion judged by the difference of a class to others: the curve, its scale, its best map."""

from itertools import permutations

import numpy as np
import paddle
import pytest
from known_scores import VALUES, as_map, network_of_shares
from toys import close

from visualize_pd import VisualizeError
from visualize_pd.evaluate import contrast_insertion

SECOND, THIRD = [[1.0, 3.0], [0.0, 1.0]], [[3.0, 1.0], [2.0, -3.0]]


def halfway(batch):
    return batch * 0.5


@pytest.mark.parametrize("start", [paddle.zeros_like, halfway])
def test_curve_of_four_pixels_by_hand(start):
    """The pixels add 7, 4, 1, −2 to s_0 − s_1, in the order of the map.

    From a baseline of halves the curve is the same, because both of its ends are scaled.
    """
    network, batch = network_of_shares(VALUES, others=[SECOND, THIRD])
    options = {"others": 1, "baseline": start(batch)}
    curve = contrast_insertion(network, batch, as_map(VALUES), 0, **options)
    close(curve.shares, [0, 0.25, 0.5, 0.75, 1])
    close(curve.scores, [[0, 0.7, 1.1, 1.2, 1]])
    close(curve.areas, [(0.35 + 0.9 + 1.15 + 1.1) / 4])


def test_several_others_count_by_their_mean():
    """The pixels add 8 − 2, 4 − 1, 2 + 1, 1 − 2 to the difference, which is 11 in all."""
    network, batch = network_of_shares(VALUES, others=[SECOND, THIRD])
    for others in ([1, 2], "top2"):
        curve = contrast_insertion(
            network, batch, as_map(VALUES), 0, others=others, baseline="zero"
        )
        close(curve.scores, [[0, 6 / 11, 9 / 11, 12 / 11, 1]])


def test_others_of_each_image_stay_the_same_while_it_is_changed():
    """Class 1 is second in the image: 5, against 3 for class 2, which leads at first."""
    network, batch = network_of_shares(VALUES, others=[SECOND, THIRD])
    best = contrast_insertion(network, batch, as_map(VALUES), 0, others="top1", baseline="zero")
    close(best.scores, [[0, 0.7, 1.1, 1.2, 1]])


def test_map_of_the_difference_has_the_largest_area_of_all_orders():
    network, batch = network_of_shares(VALUES, others=[THIRD])
    difference = np.subtract(VALUES, THIRD)

    def area(plane):
        options = {"others": [1], "baseline": "zero"}
        return contrast_insertion(network, batch, as_map(plane), 0, **options).areas[0]

    every = [area(np.reshape(order, (2, 2))) for order in permutations(range(4))]
    assert area(difference) == pytest.approx(max(every)) and max(every) > area(VALUES) + 0.02


def test_an_image_without_a_difference_has_no_curve():
    """Class 1 is not over class 0 in this image."""
    network, batch = network_of_shares(VALUES, others=[SECOND])
    curve = contrast_insertion(network, batch, as_map(VALUES), 1, others=0, baseline="zero")
    assert np.isnan(curve.areas).all()


def test_class_is_not_compared_with_itself():
    network, batch = network_of_shares(VALUES, others=[SECOND])
    with pytest.raises(VisualizeError, match="cannot be compared with itself"):
        contrast_insertion(network, batch, as_map(VALUES), 0, others=[0])
    with pytest.raises(VisualizeError, match="has no 3 others"):
        contrast_insertion(network, batch, as_map(VALUES), 0)
