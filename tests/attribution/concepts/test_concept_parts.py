"""Factors, coefficients and Sobol indices, compared with what was planted and with algebra."""

from itertools import combinations

import numpy as np
import pytest
from concept_toys import PARTS

from visualize_pd import VisualizeError
from visualize_pd.attribution.concepts.nonnegative import coefficients_of, factorise
from visualize_pd.attribution.concepts.sobol_indices import total_indices


def mixtures(rows=40, seed=1):
    """Amounts `[rows, 3]`: some rows have a single part, the others have all."""
    found = np.random.default_rng(seed).uniform(0, 2, (rows, 3))
    found[:6] *= np.eye(3).repeat(2, axis=0)
    return found


def test_planted_factors_are_found_up_to_their_order():
    found = factorise(mixtures() @ PARTS, 3)
    order = np.argmax(found @ PARTS.T, axis=0)
    np.testing.assert_allclose(found[order], PARTS, atol=1e-4)


def slow_coefficients(row, factors):
    """The best coefficients ≥ 0 among the least squares of every set of factors."""
    best, smallest = np.zeros(len(factors)), (row**2).sum()
    for size in range(1, len(factors) + 1):
        for chosen in map(list, combinations(range(len(factors)), size)):
            solved = np.linalg.lstsq(factors[chosen].T, row, rcond=None)[0]
            rest = ((row - solved @ factors[chosen]) ** 2).sum()
            if (solved >= 0).all() and rest < smallest:
                best, smallest = np.zeros(len(factors)), rest
                best[chosen] = solved
    return best


def test_coefficients_are_the_best_that_are_not_negative():
    random = np.random.default_rng(2)
    factors, values = random.uniform(0, 1, (4, 7)), random.uniform(0, 1, (3, 5, 7))
    expected = [slow_coefficients(row, factors) for row in values.reshape(-1, 7)]
    assert (np.array(expected) == 0).any()
    found = coefficients_of(values, factors)
    np.testing.assert_allclose(found.reshape(-1, 4), expected, atol=1e-10)


def test_indices_of_a_linear_function():
    """Var of w_k · uniform is w_k² / 12, and the sum has no interactions: S_Tk = w_k² / Σ w²."""
    weights = np.array([3, -2, 1, 0.5, 0])
    found = total_indices(lambda points: points @ weights + 7, 5, 4096)
    np.testing.assert_allclose(found, weights**2 / (weights**2).sum(), atol=5e-4)
    assert found[4] < 1e-12


def test_indices_of_a_product_count_the_interaction_twice():
    """x₀ x₁: E Var(f | x₁) = ⅓ · 1/12 of a variance of 1/9 − 1/16, for each of the two."""
    found = total_indices(lambda points: points[:, 0] * points[:, 1], 3, 4096)
    np.testing.assert_allclose(found, [4 / 7, 4 / 7, 0], atol=2e-3)


def test_indices_are_the_estimator_of_jansen():
    """The same numbers by loops, for a function without a simple structure."""
    seen = []

    def function(points):
        seen.append(points)
        return np.sin(3 * points[:, 0]) * points[:, 1] ** 2 + points.max(axis=1)

    found, (points,) = total_indices(function, 3, 16, seed=5), seen
    first, second = points[:16], points[16:32]
    for k in range(3):
        squares = []
        for a, b in zip(first, second):
            changed = a.copy()
            changed[k] = b[k]
            squares.append(np.diff(function(np.stack([a, changed])))[0] ** 2)
        variance = function(points[:32]).var()
        np.testing.assert_allclose(found[k], np.mean(squares) / 2 / variance, rtol=1e-10)
    assert points.min() >= 0 and points.max() <= 1 and len(points) == 16 * 5


def test_a_constant_has_no_important_input():
    np.testing.assert_array_equal(total_indices(lambda p: np.full(len(p), 3.0), 2, 8), [0, 0])


@pytest.mark.parametrize(("shape", "what"), [((4, 9), "4 crops"), ((9, 4), "4 channels")])
def test_more_factors_than_the_numbers_can_tell_apart_are_refused(shape, what):
    with pytest.raises(VisualizeError, match=f"5 concepts are more than the {what}"):
        factorise(np.ones(shape), 5)
