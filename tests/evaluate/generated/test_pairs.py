"""Blind pairs: the order, the counting of answers, and the sign test by hand."""

import pytest

from visualize_pd import VisualizeError
from visualize_pd.evaluate import Pair, Preference, lay_out, preferences, sign_test

CLASSES = list(range(10, 30))
# The first folder is on the left in pair_01 and pair_03.
THREE = [Pair("pair_01", 5, 0), Pair("pair_02", 6, 1), Pair("pair_03", 7, 0)]


def answers(*sides):
    return {
        pair.name: {"more_like_the_class": like, "better_picture": better}
        for pair, (like, better) in zip(THREE, sides)
    }


def test_every_class_is_in_one_pair_and_each_folder_is_on_the_left_half_the_time():
    pairs = lay_out(CLASSES, 3)
    assert sorted(pair.target for pair in pairs) == CLASSES
    assert [pair.name for pair in pairs] == [f"pair_{n:02}" for n in range(1, 21)]
    assert [pair.left for pair in pairs].count(0) == 10
    odd = [[pair.left for pair in lay_out([4, 5, 6], seed)] for seed in range(20)]
    assert {sides.count(0) for sides in odd} == {1, 2}


def test_order_depends_on_the_seed_alone():
    assert lay_out(CLASSES, 3) == lay_out(CLASSES[::-1], 3)
    others = [lay_out(CLASSES, seed) for seed in range(5)]
    assert len({tuple(pair.target for pair in pairs) for pairs in others}) == 5
    assert len({tuple(pair.left for pair in pairs) for pairs in others}) == 5
    assert [pair.target for pair in others[0]] != CLASSES


def test_answers_are_counted_for_the_folder_that_lay_on_that_side():
    given = answers(("left", "right"), ("left", "left"), (" Right ", "RIGHT"))
    assert preferences(THREE, given) == {
        "more_like_the_class": Preference(1, 2, 1.0),
        "better_picture": Preference(0, 3, 0.25),
    }


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (answers(("left", "left"), ("left", "both"), ("left", "left")), "pair_02: better_picture"),
        (
            answers(("", "left"), ("left", "left"), ("left", "left")),
            "must be left or right, not ''",
        ),
        (answers(("left", "left"), ("left", "left")), "no answer for pair_03"),
        ({"pair_9": {}}, "pair_9, which is not one of the pairs"),
    ],
)
def test_wrong_answers_are_refused(given, message):
    with pytest.raises(VisualizeError, match=message):
        preferences(THREE, given)


def test_p_value_of_the_sign_test():
    """n = 20, 15 of them: 2 · (1 + 20 + 190 + 1140 + 4845 + 15504) / 2^20 = 0.0414."""
    assert sign_test(15, 5) == sign_test(5, 15) == pytest.approx(43400 / 2**20)
    assert sign_test(0, 5) == pytest.approx(2 / 32)
    assert sign_test(1, 4) == pytest.approx(2 * 6 / 32)
    assert sign_test(3, 3) == sign_test(0, 0) == 1
    with pytest.raises(VisualizeError, match="from 0 on"):
        sign_test(-1, 3)
