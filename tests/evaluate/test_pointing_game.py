"""The pointing game: does the largest value of a map lie on the object?"""

import numpy as np
import paddle
import pytest
from object_masks import mask_of

from visualize_pd.core.errors import ConfigError, ImageError
from visualize_pd.evaluate import Box, pointing_game


def peak(y, x, height=6, width=9):
    """A map `[1, 1, height, width]` that is 1 at one pixel and 0 elsewhere."""
    plane = np.zeros((1, 1, height, width))
    plane[0, 0, y, x] = 1
    return plane


@pytest.mark.parametrize(
    ("box", "hit"),
    [
        (Box(7, 1, 8, 2), True),  # the pixel alone
        (Box(0, 0, 9, 6), True),
        (Box(1, 5, 2, 6), False),  # x and y swapped
        (Box(6, 1, 7, 2), False),  # to the left, to the right, over and under it
        (Box(8, 1, 9, 2), False),
        (Box(7, 0, 8, 1), False),
        (Box(7, 2, 8, 3), False),
        (Box(5, 0, 8, 2), True),
        (Box(7, 1, 9, 6), True),
    ],
)
def test_a_box_and_its_mask_give_the_same_answer(box, hit):
    assert pointing_game(peak(1, 7), [[box]]).tolist() == [hit]
    assert pointing_game(peak(1, 7), [[tuple(box)]]).tolist() == [hit]
    assert pointing_game(peak(1, 7), [mask_of(box)]).tolist() == [hit]
    tensor = paddle.to_tensor(peak(1, 7).astype("float32"))
    assert pointing_game(tensor, [[box]]).tolist() == [hit]


@pytest.mark.parametrize("kind", ["uint8", "int64", "float32"])
@pytest.mark.parametrize("width", [4, 9])
def test_masks_may_hold_numbers(kind, width):
    """A mask of four columns is not mistaken for a list of boxes."""
    mask = np.zeros((6, width), dtype=kind)
    mask[1, 3] = 1
    assert pointing_game(peak(1, 3, width=width), [mask]).tolist() == [True]
    assert pointing_game(peak(2, 3, width=width), [mask]).tolist() == [False]


@pytest.mark.parametrize("tolerance", [-1, float("nan")])
def test_a_tolerance_below_zero_is_refused(tolerance):
    with pytest.raises(ConfigError, match="tolerance must be a number of at least 0"):
        pointing_game(peak(1, 7), [[Box(0, 4, 4, 6)]], tolerance)


@pytest.mark.parametrize(
    ("tolerance", "hit"), [(0, False), (4, False), (4.99, False), (5, True), (15, True)]
)
def test_tolerance_is_a_straight_distance(tolerance, hit):
    """From row 1, column 7 to row 4, column 3: √(3² + 4²) = 5."""
    assert pointing_game(peak(1, 7), [[Box(0, 4, 4, 6)]], tolerance).tolist() == [hit]


def test_channels_are_summed_with_their_signs():
    """The sum is largest at (4, 2).

    One channel and the absolute values are largest at (0, 0), the maximum over channels at (5, 8).
    """
    maps = np.zeros((1, 3, 6, 9))
    maps[0, :, 0, 0] = [-90, 20, -20]
    maps[0, :, 5, 8] = [60, -30, -29]
    maps[0, :, 4, 2] = [2, 1, 2]
    for (y, x), hit in {(0, 0): False, (5, 8): False, (4, 2): True}.items():
        assert pointing_game(maps, [[Box(x, y, x + 1, y + 1)]]).tolist() == [hit]


def test_map_without_positive_values_has_a_peak_too():
    assert pointing_game(peak(1, 7) - 5, [[Box(7, 1, 8, 2)]]).tolist() == [True]


def test_any_box_of_the_same_image_counts():
    maps = np.concatenate([peak(1, 7), peak(5, 0), peak(1, 7), peak(3, 3)])
    truth = [
        [Box(0, 0, 2, 2), Box(6, 1, 9, 3)],
        mask_of((6, 1, 9, 3)),
        [],
        np.zeros((6, 9), dtype=bool),
    ]
    assert pointing_game(maps, truth).tolist() == [True, False, False, False]
    assert pointing_game(maps, truth, tolerance=100).tolist() == [True, True, False, False]


def test_boxes_are_cut_at_the_edge_of_the_image():
    truth = [[Box(-5, -5, 1, 1)], [Box(8, 5, 20, 20)], [Box(-9, 0, -1, 6)], [Box(0, -9, 9, -1)]]
    maps = np.concatenate([peak(0, 0), peak(5, 8), peak(1, 1), peak(1, 1)])
    assert pointing_game(maps, truth).tolist() == [True, True, False, False]


@pytest.mark.parametrize(
    ("maps", "truth"),
    [
        (peak(1, 7), [[Box(0, 0, 1, 1)]] * 2),
        (peak(1, 7), []),
        (peak(1, 7)[0], [[Box(0, 0, 1, 1)]]),
        (peak(1, 7), [np.ones((9, 6), dtype=bool)]),
        (peak(1, 7) * np.nan, [[Box(0, 0, 1, 1)]]),
    ],
    ids=["two", "none", "3d", "swapped", "nan"],
)
def test_maps_and_objects_that_do_not_fit_are_refused(maps, truth):
    with pytest.raises(ImageError):
        pointing_game(maps, truth)
