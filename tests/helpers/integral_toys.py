"""What the tests of integrated gradients share: a score with a known integral, and a comparison."""

import numpy as np
from toys import Linear, weights

W = weights()
TARGETS = [2, 1]


class Power(Linear):
    """S_c(I) = Σ w_c · I^n. With the baseline 0 its integrated gradients are w_c · I^n."""

    def __init__(self, w, power):
        super().__init__(w)
        self.power = power

    def forward(self, batch):
        powers = batch
        for _ in range(self.power - 1):
            powers = powers * batch
        return super().forward(powers)


def assert_exact(actual, expected):
    """Assert that arrays differ by rounding alone: 1e-5 of each value, 1e-6 of the largest."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6 * np.abs(expected).max())
