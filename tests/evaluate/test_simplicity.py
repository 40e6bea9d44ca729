"""Sparseness and complexity: the extremes, by hand, and as Quantus has them."""

import numpy as np
import pytest
from known_scores import as_map
from toys import close

from visualize_pd.core.errors import ImageError
from visualize_pd.evaluate import complexity, sparseness


def test_map_of_one_pixel_and_of_equal_pixels():
    one, equal = np.zeros((1, 1, 4, 5)), np.full((1, 1, 4, 5), 0.3)
    one[0, 0, 2, 1] = -7
    close(sparseness(one), [1 - 1 / 20])
    close(complexity(equal), [np.log(20)])
    assert abs(sparseness(equal)[0]) < 1e-12 and complexity(one)[0] == 0


def test_four_pixels_by_hand():
    """Gini: the mean distance of all pairs of sizes, over twice their mean."""
    sizes = np.array([1.0, 2.0, 5.0, 8.0])
    gini = np.abs(sizes[:, None] - sizes).mean() / (2 * sizes.mean())
    maps = as_map([[5, -1], [-8, 2]])
    close(sparseness(maps), [gini])
    shares = sizes / 16
    close(complexity(maps), [-(shares * np.log(shares)).sum()])


def test_both_equal_those_of_quantus():
    """Of Quantus 0.6.0: `Sparseness` and `Complexity` with normalise=False.

    It adds 1e-7 to each size.
    """
    maps = np.abs(np.random.default_rng(3).standard_normal((2, 1, 6, 5)))
    close(sparseness(maps), [0.484516599, 0.4222393484], 1e-6)
    close(complexity(maps), [3.0040368408, 3.0924944227], 1e-6)


@pytest.mark.parametrize("measure", [sparseness, complexity])
def test_unit_does_not_matter_and_channels_are_summed(measure):
    plane = np.random.default_rng(1).standard_normal((3, 4))
    expected = measure(as_map(plane))
    close(measure(as_map(-1e-6 * plane)), expected)
    close(measure(np.stack([plane + 5, np.full((3, 4), -5.0)])[None]), expected)


@pytest.mark.parametrize("measure", [sparseness, complexity])
def test_map_of_zeros_has_no_number_and_wrong_maps_are_refused(measure):
    found = measure(np.concatenate([as_map(np.eye(3)), np.zeros((1, 1, 3, 3))]))
    assert found[0] > 0 and np.isnan(found[1])
    with pytest.raises(ImageError, match=r"maps must be \[N, C, H, W\]"):
        measure(np.ones((3, 3)))
    with pytest.raises(ImageError, match="NaN or infinite"):
        measure(as_map([[np.inf, 1], [1, 1]]))
