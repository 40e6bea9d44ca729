"""Statistics over images: intervals and p-values against algebra and slow computations."""

import math
import random

import numpy as np
import pytest

from visualize_pd.core.errors import ConfigError
from visualize_pd.evaluate import Difference, bootstrap_difference, bootstrap_interval

VALUES = np.random.default_rng(0).gamma(2.0, size=25)
T_9, Z = 2.26216, 1.95996  # the 97.5 % quantiles of Student's t with 9 degrees, and of the normal


def slow_bounds(values, average, samples=20_000):
    """The middle 95 % of the averages of resampled values, by Python's own generator."""
    draw = random.Random(5)
    found = sorted(average(draw.choices(list(values), k=len(values))) for _ in range(samples))
    return np.array([found[int(0.025 * samples)], found[int(0.975 * samples)]])


def test_interval_of_a_mean_is_that_of_a_slow_bootstrap_widened():
    values = VALUES[:10]
    middle, low, high = bootstrap_interval(values, samples=20_000)
    plain = slow_bounds(values, np.mean) - values.mean()
    wider = plain * T_9 / Z * math.sqrt(10 / 9)
    assert middle == pytest.approx(values.mean())
    assert [low - middle, high - middle] == pytest.approx(list(wider), rel=0.03)


def test_interval_of_a_median():
    middle, low, high = bootstrap_interval(VALUES, average="median", samples=20_000)
    assert middle == np.median(VALUES)
    plain = slow_bounds(VALUES, np.median) - middle
    wider = plain * 2.0639 / Z * math.sqrt(25 / 24)  # 24 degrees of freedom
    assert [low - middle, high - middle] == pytest.approx(list(wider), rel=0.06)


def test_interval_of_many_images_is_that_of_the_normal_distribution():
    values = np.random.default_rng(1).normal(3, 2, 4000)
    middle, low, high = bootstrap_interval(values, level=0.9)
    half = 1.64485 * values.std() / math.sqrt(4000)
    assert [middle - low, high - middle] == pytest.approx([half, half], rel=0.04)


def test_images_without_the_number_are_left_out_and_one_image_has_no_width():
    assert bootstrap_interval([np.nan, *VALUES, np.nan]) == bootstrap_interval(VALUES)
    assert tuple(bootstrap_interval([4.0])) == (4, 4, 4)
    assert tuple(bootstrap_interval([2.5] * 7)) == (2.5, 2.5, 2.5)


@pytest.mark.parametrize(
    ("differences", "p_value"),
    [
        ([1, 2, 3], 2 / 8),  # only all signs changed is as far
        ([1, 1, 1, 1, 1, 1], 2 / 64),
        ([3, -1, 1], 6 / 8),  # of the sums ±5, ±3, ±3 and ±1 only the last ones are nearer
        ([2, -2], 1),
        ([0, 0, 0], 1),
        ([0.1, 0.2, -0.3], 1),
    ],
)
def test_p_value_by_hand(differences, p_value):
    found = bootstrap_difference(np.add(differences, 5), np.full(len(differences), 5))
    assert found.p_value == pytest.approx(p_value) and found.images == len(differences)
    assert found.mean == pytest.approx(np.mean(differences))


def test_p_value_of_many_images_is_that_of_the_binomial():
    """Equal differences: the number of changed signs is binomial. 20 images, 15 of them over 0."""
    differences = np.array([1.0] * 15 + [-1.0] * 5)
    exact = 2 * sum(math.comb(20, k) for k in range(6)) / 2**20
    found = bootstrap_difference(differences, np.zeros(20), samples=100_000)
    assert found.p_value == pytest.approx(exact, rel=0.05)
    assert found.significant and found.low > 0


def test_swapped_methods_swap_the_signs():
    first, second = VALUES, VALUES[::-1] + 0.3
    one, other = bootstrap_difference(first, second), bootstrap_difference(second, first)
    assert one.p_value == other.p_value
    assert [one.mean, one.low, one.high] == pytest.approx(
        [-other.mean, -other.high, -other.low], rel=0.05
    )


def test_pairs_count_and_not_the_spread_over_images():
    """Each image is a little better by the first method, though images differ far more."""
    spread = np.linspace(0, 100, 12)
    found = bootstrap_difference(spread + np.tile([0.1, 0.2], 6), spread)
    assert found.significant and found.p_value == pytest.approx(2 / 2**12)
    assert 0.1 < found.low < 0.15 < found.high < 0.2


def test_five_images_are_never_enough():
    assert not bootstrap_difference([9.0, 9, 9, 9, 9], np.zeros(5)).significant
    assert bootstrap_difference([9.0, 9, 9, 9, 9, 9], np.zeros(6)).significant


@pytest.mark.parametrize(
    ("low", "high", "p_value", "expected"),
    [(0.1, 1, 0.04, True), (-1, -0.1, 0.04, True), (-0.1, 1, 0.04, False), (0.1, 1, 0.05, False)],
)
def test_a_difference_needs_the_interval_and_the_p_value(low, high, p_value, expected):
    assert Difference((low + high) / 2, low, high, p_value, 9).significant is expected


def test_a_missing_number_takes_away_its_pair():
    first, second = VALUES.copy(), VALUES[::-1].copy()
    first[3], second[7] = np.nan, np.nan
    kept = np.delete(np.arange(25), [3, 7])
    found = bootstrap_difference(first, second)
    assert found == bootstrap_difference(first[kept], second[kept]) and found.images == 23


def test_seed_decides_the_bounds():
    assert bootstrap_interval(VALUES, seed=1) == bootstrap_interval(VALUES, seed=1)
    assert bootstrap_interval(VALUES, seed=1) != bootstrap_interval(VALUES, seed=2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bootstrap_difference([1.0], [2.0]), "at least two images"),
        (lambda: bootstrap_difference([1.0, np.nan], [2.0, 1.0]), "at least two images"),
        (lambda: bootstrap_difference([1.0, 2], [2.0]), "2 and 1 numbers"),
        (lambda: bootstrap_interval([np.nan]), "no image has this number"),
        (lambda: bootstrap_interval(VALUES, average="mode"), "unknown average 'mode'"),
        (lambda: bootstrap_interval(VALUES, level=1.0), "level must be"),
        (lambda: bootstrap_interval(VALUES, level=95), "level must be"),
        (lambda: bootstrap_interval(VALUES, samples=10), "samples must be"),
        (lambda: bootstrap_interval(VALUES, seed=-1), "seed must be"),
    ],
)
def test_wrong_input_is_refused(call, message):
    with pytest.raises(ConfigError, match=message):
        call()
