"""Relevance mass and rank accuracy: by hand, with ties, and as Quantus has them."""

import numpy as np
import pytest
from known_scores import as_map
from toys import close

from visualize_pd.core.errors import ImageError
from visualize_pd.evaluate import Box, relevance_mass_accuracy, relevance_rank_accuracy

BOTH = [relevance_mass_accuracy, relevance_rank_accuracy]
PLANE = [[5.0, -2.0, 1.0], [4.0, 3.0, 0.0]]
MASK = np.array([[1, 1, 0], [0, 1, 0]])


def test_mass_is_the_share_of_what_is_positive():
    close(relevance_mass_accuracy(as_map(PLANE), [MASK]), [8 / 13])


def test_rank_is_the_share_of_the_largest_pixels():
    """Of 5, 4 and 3 the mask holds 5 and 3."""
    close(relevance_rank_accuracy(as_map(PLANE), [MASK]), [2 / 3])


def test_equal_pixels_count_in_part():
    """Of two equal pixels one has a place among the first three. One of them is on the object."""
    close(relevance_rank_accuracy(as_map([[5, 3, 3], [4, 0, 0]]), [MASK]), [(1 + 0.5) / 3])
    close(relevance_rank_accuracy(as_map(np.ones((2, 3))), [MASK]), [0.5])
    close(relevance_mass_accuracy(as_map(np.ones((2, 3))), [MASK]), [0.5])


@pytest.mark.parametrize("measure", BOTH)
def test_channels_are_summed_and_boxes_are_masks(measure):
    box = Box(0, 0, 2, 1)
    inside = np.zeros((2, 3), dtype=bool)
    inside[0, :2] = True
    maps = np.stack([np.full((2, 3), 9.0), np.array(PLANE) - 9])[None]
    expected = measure(as_map(PLANE), [inside])
    close(measure(maps, [[box]]), expected)
    close(expected, [5 / 13 if measure is relevance_mass_accuracy else 1 / 2])


@pytest.mark.parametrize(
    ("measure", "expected"),
    [
        (relevance_mass_accuracy, [0.3213526338, 0.2023024638]),
        (relevance_rank_accuracy, [1 / 3, 1 / 4]),
    ],
)
def test_both_equal_those_of_quantus(measure, expected):
    """Of Quantus 0.6.0: `Relevance…Accuracy(normalise=False).evaluate_batch(maps, masks)`."""
    maps = np.abs(np.random.default_rng(3).standard_normal((2, 1, 6, 5)))
    masks = np.zeros((2, 6, 5), dtype=bool)
    masks[0, 1:4, 2:5] = True
    masks[1, :2, :2] = True
    close(measure(maps, list(masks)), expected, 1e-7)


@pytest.mark.parametrize("measure", BOTH)
def test_without_an_object_there_is_no_number(measure):
    found = measure(np.ones((2, 1, 2, 3)), [MASK, np.zeros((2, 3))])
    assert found[0] == 0.5 and np.isnan(found[1])
    assert np.isnan(relevance_mass_accuracy(as_map(-np.ones((2, 3))), [MASK])).all()


@pytest.mark.parametrize("measure", BOTH)
def test_maps_that_do_not_fit_are_refused(measure):
    with pytest.raises(ImageError, match="do not fit"):
        measure(np.ones((2, 1, 2, 3)), [MASK])
    with pytest.raises(ImageError, match="NaN or infinite"):
        measure(as_map([[np.nan, 1, 1], [1, 1, 1]]), [MASK])
