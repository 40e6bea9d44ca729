"""Sensitivity-n and completeness: exact for a linear network, and by their definitions."""

import numpy as np
import paddle
import pytest
from known_scores import (
    BASELINES,
    READ,
    TARGETS,
    Recording,
    W,
    as_map,
    contributions,
    fill_of,
    logits_of,
)
from toys import Linear, Quadratic, close, images, weights

from visualize_pd import VisualizeError, integrated_gradients
from visualize_pd.evaluate import completeness, sensitivity_n


@pytest.mark.parametrize("baseline", BASELINES)
def test_contributions_of_a_linear_score_are_complete_and_correlate(baseline):
    batch = images()
    fill, start = fill_of(baseline, batch)
    exact = W[TARGETS] * (batch.numpy() - start)
    whole = exact.sum((1, 2, 3), dtype="float64")
    for factor in (0, 3):
        gaps = completeness(Linear(W), batch, factor * exact, TARGETS, baseline=fill)
        close(gaps, (factor - 1) * whole)
    assert np.abs(completeness(Linear(W), batch, exact, TARGETS, baseline=fill)).max() < 1e-4
    for factor in (1, 0.01, -1):
        found = sensitivity_n(Linear(W), batch, factor * exact, TARGETS, baseline=fill)
        close(found, np.full((2, 3), np.sign(factor)))


@pytest.mark.parametrize("score", ["logit", "probability"])
def test_sensitivity_is_the_correlation_over_the_sets(score):
    """The definition, for the pixels that the network really lost."""
    w, shares = weights(3, 8, 11), (0.001, 0.25, 0.8)
    network, batch = Recording(w), paddle.ones([1, 3, 8, 11])
    heat = w[1].sum(0) + np.random.default_rng(2).standard_normal((8, 11))
    found = sensitivity_n(network, batch, as_map(heat), 1, shares=shares, samples=40, score=score)
    inputs = np.concatenate(network.inputs)
    hidden = (inputs[inputs.any(axis=(1, 2, 3)) & (inputs == 0).any(axis=(1, 2, 3))] == 0)[:, 0]
    hidden = hidden.reshape(3, 40, 8, 11)
    assert (hidden.sum((2, 3)) == np.array([[1], [22], [70]])).all()
    assert len(np.unique(hidden[1].reshape(40, -1), axis=0)) == 40
    expected = []
    for sets in hidden:
        whole = READ[score](logits_of(np.ones((1, 3, 8, 11)), w))[0, 1]
        lost = [
            whole - READ[score](logits_of(np.ones((1, 3, 8, 11)) * ~one, w))[0, 1] for one in sets
        ]
        expected.append(np.corrcoef([heat[one].sum() for one in sets], lost)[0, 1])
    close(found, [expected], 1e-4)
    assert 0.2 < expected[1] < 0.99


def test_sensitivity_of_a_constant_map_is_zero():
    found = sensitivity_n(Linear(W), images(), np.full((2, 1, 5, 7), 0.1), TARGETS)
    assert found.tolist() == [[0, 0, 0], [0, 0, 0]]


def test_seed_decides_the_sets():
    batch, maps = images(), images(seed=3).numpy()
    first, again, other = (
        sensitivity_n(Linear(W), batch, maps, TARGETS, seed=seed) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).min() > 1e-4


def test_gap_of_gradient_times_input_for_a_quadratic_score():
    """It sums to w · I², twice the score, so the gap is the score itself."""
    batch = images()
    maps = W[TARGETS] * batch.numpy() ** 2
    score = contributions(batch * batch).sum((1, 2)) / 2
    close(completeness(Quadratic(W), batch, maps, TARGETS), score)


def test_gap_is_the_one_that_integrated_gradients_report():
    batch, options = images(), {"steps": 3, "quadrature": "trapezoid", "score": "probability"}
    maps, gap = integrated_gradients(Linear(W / 20), batch, TARGETS, **options, return_gap=True)
    assert np.abs(gap.numpy()).min() > 5e-4
    close(
        completeness(Linear(W / 20), batch, maps, TARGETS, score="probability"), gap.numpy(), 1e-4
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shares": (0.0,)}, "shares must be"),
        ({"shares": "0.1"}, "shares must be"),
        ({"samples": 1}, "samples must be a whole number of at least 2"),
        ({"seed": 0.5}, "seed must be"),
        ({"baseline": "grey"}, "unknown baseline"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(VisualizeError, match=message):
        sensitivity_n(Linear(W), images(), np.ones((2, 1, 5, 7)), 1, **options)
