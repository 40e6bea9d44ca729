"""The largest connected part of a mask, the tight box of a mask, and the overlap of two boxes."""

import numpy as np
import pytest
from object_masks import mask_of

from visualize_pd.evaluate import Box, box_of, overlap
from visualize_pd.evaluate.localisation import largest_part


def parts(mask):
    """All connected parts of a mask as sets of (y, x), found by flood fill."""
    left, found = {(y, x) for y, x in zip(*map(np.ndarray.tolist, np.nonzero(mask)))}, []
    while left:
        waiting, part = [left.pop()], set()
        while waiting:
            y, x = waiting.pop()
            part.add((y, x))
            for near in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
                if near in left:
                    left.remove(near)
                    waiting.append(near)
        found.append(part)
    return found


def places(mask):
    """The pixels (y, x) where a mask is true."""
    return set(zip(*map(np.ndarray.tolist, np.nonzero(mask))))


@pytest.mark.parametrize("density", [0.1, 0.4, 0.55, 0.6, 0.7, 0.95])
@pytest.mark.parametrize("shape", [(13, 29), (30, 12), (1, 40), (40, 1), (2, 2)])
def test_largest_part_is_what_a_flood_fill_finds(density, shape):
    random = np.random.default_rng(3)
    for _ in range(6):
        mask = random.random(shape) < density
        mask[0, 0] = True
        found, every = places(largest_part(mask)), parts(mask)
        assert found in every and len(found) == max(map(len, every))


def spiral(side):
    """A path one pixel wide, from a corner to the middle."""
    mask = np.zeros((side, side), dtype=bool)
    y = x = 0
    lengths = [side - 1, *(n for n in range(side - 1, 0, -2) for _ in range(2))]
    for turn, length in enumerate(lengths):
        down, right = ((0, 1), (1, 0), (0, -1), (-1, 0))[turn % 4]
        for _ in range(length):
            mask[y, x] = True
            y, x = y + down, x + right
    mask[y, x] = True
    return mask


@pytest.mark.parametrize("flip", [np.array, np.flipud, np.fliplr, np.transpose, np.rot90])
def test_largest_part_of_a_spiral_a_snake_and_a_comb(flip):
    snake = np.zeros((21, 31), dtype=bool)
    snake[::2], snake[1:20:4, 0], snake[3:20:4, -1] = True, True, True
    comb = np.zeros((21, 31), dtype=bool)
    comb[:, ::2], comb[-1] = True, True
    for whole in (spiral(23), snake, comb):
        whole = flip(whole)
        assert len(parts(whole)) == 1 and 0.4 < whole.mean() < 0.6
        np.testing.assert_array_equal(largest_part(whole), whole)
        holes = ~whole
        found, every = places(largest_part(holes)), parts(holes)
        assert found in every and len(found) == max(map(len, every))


def test_diagonal_neighbours_are_not_connected():
    mask = np.array([[1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 1, 0], [0, 0, 1, 0]], dtype=bool)
    assert places(largest_part(mask)) == {(1, 2), (2, 2), (3, 2)}
    board = np.indices((5, 6)).sum(0) % 2 == 0
    assert largest_part(board).sum() == 1


def test_the_end_of_a_row_is_not_connected_to_the_next_row():
    mask = np.array([[0, 0, 1], [1, 1, 0], [0, 0, 0]], dtype=bool)
    assert places(largest_part(mask)) == {(1, 0), (1, 1)}


def test_largest_part_of_an_empty_and_of_a_full_mask():
    for mask in (np.zeros((4, 7), dtype=bool), np.ones((4, 7), dtype=bool)):
        np.testing.assert_array_equal(largest_part(mask), mask)


def test_box_of_a_mask():
    assert box_of(mask_of((3, 1, 8, 2))) == Box(3, 1, 8, 2)
    assert box_of(np.ones((4, 7), dtype=bool)) == Box(0, 0, 7, 4)
    assert box_of(np.eye(3, 5, 1, dtype=bool)) == Box(1, 0, 4, 3)
    box = box_of(np.zeros((4, 7), dtype=bool))
    assert box.x0 == box.x1 and box.y0 == box.y1


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ((0, 0, 4, 2), (0, 0, 4, 2), 1),
        ((0, 0, 4, 2), (2, 1, 6, 4), 2 / 18),
        ((0, 0, 10, 10), (2, 3, 4, 8), 10 / 100),
        ((0, 0, 4, 2), (4, 0, 6, 2), 0),  # they only touch
        ((0, 0, 4, 2), (9, 9, 12, 12), 0),  # apart in x and in y
        ((0, 0, 4, 2), (1, 5, 3, 7), 0),
        ((0, 0, 0, 0), (0, 0, 4, 2), 0),
        ((0, 0, 0, 0), (0, 0, 0, 0), 0),
    ],
)
def test_overlap_is_intersection_over_union(first, second, expected):
    assert abs(overlap(Box(*first), Box(*second)) - expected) < 1e-12
    assert abs(overlap(Box(*second), Box(*first)) - expected) < 1e-12
