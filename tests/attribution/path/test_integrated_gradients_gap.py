"""The completeness gap of integrated gradients: its value, its sign, and the warning."""

import logging

import numpy as np
import paddle
import pytest
from integral_toys import TARGETS, Power, W, assert_exact
from tiny import small_net
from toys import images

from visualize_pd import integrated_gradients

# n steps for ∫ 3 α² dα = 1 give 1 plus this error.
ERROR_OF_CUBE = {
    "gauss_legendre": lambda n: -1 / 4 if n == 1 else 0,
    "midpoint": lambda n: -1 / (4 * n**2),
    "trapezoid": lambda n: 1 / (2 * (n - 1) ** 2),
}


@pytest.mark.parametrize("quadrature", ERROR_OF_CUBE)
@pytest.mark.parametrize("steps", [1, 2, 4, 6])
def test_completeness_gap(quadrature, steps):
    """The gap is negative where the map sums to less than the difference of the scores."""
    if (quadrature, steps) == ("trapezoid", 1):
        pytest.skip("the trapezoid rule needs both ends of the path")
    batch = images()
    difference = (W[TARGETS] * batch.numpy().astype("float64") ** 3).sum((1, 2, 3))
    options = {"steps": steps, "quadrature": quadrature}
    maps, gap = integrated_gradients(Power(W, 3), batch, TARGETS, **options, return_gap=True)
    error = ERROR_OF_CUBE[quadrature](steps)
    assert_exact(maps.numpy(), (1 + error) * W[TARGETS] * batch.numpy() ** 3)
    assert gap.shape == [2]
    np.testing.assert_allclose(gap.numpy(), error * difference, rtol=1e-4, atol=2e-5)


def test_gap_is_computed_before_sign_and_channel():
    network, batch = Power(W, 3), images()
    options = {"steps": 2, "quadrature": "midpoint", "return_gap": True}
    _, expected = integrated_gradients(network, batch, TARGETS, **options)
    maps, gap = integrated_gradients(
        network, batch, TARGETS, **options, sign="positive", channel="max"
    )
    assert maps.shape == [2, 1, 5, 7]
    np.testing.assert_array_equal(gap.numpy(), expected.numpy())


@pytest.fixture
def warned(caplog, monkeypatch):
    """A function that returns the logged messages of level WARNING or above."""
    monkeypatch.setattr(logging.getLogger("visualize_pd"), "propagate", True)
    caplog.set_level(logging.INFO, logger="visualize_pd")
    return lambda: [
        record.getMessage()
        for record in caplog.records
        if record.name == "visualize_pd" and record.levelno >= logging.WARNING
    ]


@pytest.mark.parametrize(
    ("quadrature", "steps", "gap"),
    [
        ("midpoint", 4, -1.5),  # 96/64
        ("midpoint", 6, None),  # 0.7 %
        ("trapezoid", 8, 0.98),  # 96/98
        ("trapezoid", 9, None),  # 0.8 %
        ("gauss_legendre", 1, -24),
        ("gauss_legendre", 2, None),
    ],
)
@pytest.mark.parametrize("sign", [1, -1])
def test_gap_over_one_percent_gives_a_warning(warned, quadrature, steps, gap, sign):
    """For every sign of the score and of the gap. The score is ±96."""
    image = paddle.full([1, 3, 2, 2], 2.0)
    network = Power(sign * np.ones((1, 3, 2, 2), dtype="float32"), 3)
    integrated_gradients(network, image, 0, steps=steps, quadrature=quadrature)
    messages = warned()
    assert len(messages) == (gap is not None)
    for message in messages:
        assert f"gap {gap * sign:.2g}," in message and f"= {96 * sign};" in message
        assert "more steps" in message


def test_each_image_is_compared_with_its_own_gap(warned):
    """First S = x³ + 99 x at 2, 0 and 20, then S = x³ − x at 1.

    In the second case S is 0, and every gap is over 1 % of 0.
    """

    class CubicAndLinear(Power):
        def forward(self, batch):
            return super().forward(batch) + self.slope * batch.flatten(1)

    network = CubicAndLinear(np.ones((1, 1, 1, 1), dtype="float32"), 3)
    options = {"quadrature": "midpoint", "steps": 4, "return_gap": True}
    network.slope = 99
    batch = paddle.to_tensor([2.0, 0, 20]).reshape([3, 1, 1, 1])
    _, gap = integrated_gradients(network, batch, 0, **options)
    np.testing.assert_allclose(gap.numpy(), [-8 / 64, 0, -8000 / 64], rtol=1e-3)
    (message,) = warned()  # 8/64 is under 1 % of 206, and 125 is over 1 % of 9980
    assert "gap -1.2e+02," in message and "= 9980;" in message
    network.slope = -1
    _, gap = integrated_gradients(network, paddle.ones([1, 1, 1, 1]), 0, **options)
    np.testing.assert_allclose(gap.numpy(), [-1 / 64], rtol=1e-4)
    assert "= 0;" in warned()[1]


def test_gap_of_a_relu_network_shrinks_with_more_steps(warned):
    network, batch = small_net(), images(2, 16, 16)
    start = images(2, 16, 16, seed=5)
    options = {"baseline": start, "return_gap": True}
    maps, gap = integrated_gradients(network, batch, 1, **options, steps=200)
    difference = (network(batch) - network(start)).numpy()[:, 1]
    assert (np.abs(gap.numpy()) < 0.01 * np.abs(difference)).all()
    assert warned() == []
    np.testing.assert_allclose(gap.numpy(), maps.numpy().sum((1, 2, 3)) - difference, atol=1e-6)
    _, coarse = integrated_gradients(network, batch, 1, **options, steps=1)
    assert (np.abs(coarse.numpy()) > 3 * np.abs(gap.numpy())).all()
