"""Guided IG: PAIR's numbers, integrals by algebra, and the path of single images."""

import logging

import numpy as np
import paddle
import pytest
from integral_toys import TARGETS, Power, W, assert_exact
from oracle_toys import Tanh, baselines, image, sampled
from tiny import small_net
from toys import Linear, Quadratic, images

from visualize_pd import VisualizeError, guided_ig, integrated_gradients

# From PAIR's package saliency 0.2.1: GuidedIG().GetMask(image, …, x_baseline=baseline, x_steps,
# fraction, max_dist) on class 1 of the score of `oracle_toys`, with numpy 2.4 in float64, in which
# `quantile(interpolation=…)` was called as `quantile(method=…)`.
PAIR = {
    (20, 0.25, 0.02): [-0.0052270616, 0.0731619523, -0.0331472422, -0.0461579531, -0.0052412999],
    (20, 0.1, 0.2): [-0.0096037293, 0.0938857348, -0.0294080444, -0.0101699476, 0.0024591592],
    (10, 0.4, 1.0): [-0.0145066856, 0.1076163393, -0.0343292615, 0.0212525760, 0.0093671099],
}


@pytest.mark.parametrize(("steps", "fraction", "max_distance"), PAIR)
def test_numbers_of_pair(steps, fraction, max_distance):
    options = {"steps": steps, "fraction": fraction, "max_distance": max_distance}
    maps = guided_ig(*(Tanh(), image(), 1), baseline=baselines()[:1], trapezoid=False, **options)
    expected = PAIR[steps, fraction, max_distance]
    np.testing.assert_allclose(sampled(maps), expected, atol=2e-9)


@pytest.mark.parametrize("max_distance", [0, 0.02, 1])
def test_linear_and_quadratic_scores_are_exact_on_any_path(max_distance):
    """Their integral depends on one value at a time, so not on the order in which values move.

    The trapezoid rule is exact for a gradient that grows evenly.
    """
    batch, start = images(), images(1, seed=8)
    options = {"baseline": start, "steps": 7, "max_distance": max_distance}
    x, b = batch.numpy().astype("float64"), start.numpy().astype("float64")
    maps, gap = guided_ig(Linear(W), batch, TARGETS, **options, return_gap=True)
    assert_exact(maps.numpy(), W[TARGETS] * (x - b))
    np.testing.assert_allclose(gap.numpy(), 0, atol=1e-5)
    maps = guided_ig(Quadratic(W), batch, TARGETS, **options).numpy()
    assert_exact(maps, W[TARGETS] * (x**2 - b**2) / 2)


def test_flat_values_move_first():
    """Two values with the gradients y and x + 3: the second one stays until the first has moved.

    From (0, 0) to (2, 1) with S = x·y + 3·y: on the path (0,0) → (2,0) → (2,1) the gradient of x is
    0 and that of y is 2 + 3, so all of S = 5 goes to y. The straight path gives 1 and 4.
    """

    class Product(paddle.nn.Layer):
        def forward(self, batch):
            x, y = batch[:, 0, 0, 0], batch[:, 0, 0, 1]
            return (x * y + 3 * y).unsqueeze(1)

    point = paddle.to_tensor([2.0, 1.0]).reshape([1, 1, 1, 2])
    free = guided_ig(Product(), point, 0, steps=3, fraction=0, max_distance=1).numpy().ravel()
    np.testing.assert_allclose(free, [0, 5], atol=1e-6)
    bound = guided_ig(Product(), point, 0, steps=3, max_distance=0).numpy().ravel()
    np.testing.assert_allclose(bound, [1, 4], rtol=1e-6)


def test_without_distance_it_is_integrated_gradients():
    batch, options = images(), {"steps": 5, "baseline": images(1, seed=8)}
    maps, gap = guided_ig(
        *(Power(W, 3), batch, TARGETS), **options, max_distance=0, return_gap=True
    )
    options["steps"] = 6  # nodes, for 5 steps between them
    expected, known = integrated_gradients(
        *(Power(W, 3), batch, TARGETS), **options, quadrature="trapezoid", return_gap=True
    )
    assert_exact(maps.numpy(), expected.numpy())
    np.testing.assert_allclose(gap.numpy(), known.numpy(), rtol=1e-3, atol=1e-4)


def test_batch_gives_exactly_what_single_images_give():
    """One other rounding would send another pixel ahead: every image has passes of its own."""
    network, batch = small_net(), images(3, 24, 20)
    together = guided_ig(network, batch, [0, 1, 2], steps=6).numpy()
    for n in range(3):
        alone = guided_ig(network, batch[n : n + 1], n, steps=6).numpy()
        np.testing.assert_array_equal(together[n : n + 1], alone)


def test_gap_over_one_percent_gives_a_warning(caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("visualize_pd"), "propagate", True)
    guided_ig(Power(W, 3), images(1), 1, steps=2, trapezoid=False)
    assert "guided IG: completeness gap" in caplog.text and "take more steps" in caplog.text


@pytest.mark.parametrize(
    "options",
    [
        {"steps": 0},
        {"fraction": -0.1},
        {"fraction": True},
        {"max_distance": 2},
        {"max_distance": "all"},
        {"baseline": "black"},
    ],
    ids=str,
)
def test_wrong_options(options):
    with pytest.raises(VisualizeError, match=next(iter(options))):
        guided_ig(Linear(W), images(), TARGETS, **options)
