"""What tests of gradient programs compare and count."""

import numpy as np

import visualize_pd as vp
from visualize_pd.network.fast import use_fast
from visualize_pd.network.fast.whole import gradient


def own_gradient(network, images, targets):
    """By Paddle's own layers."""
    use_fast(False)
    try:
        return vp.gradient(network, images, targets).numpy()
    finally:
        use_fast()


def programs_of(network):
    """The programs of a network that has had at least one gradient."""
    return [each for each in gradient._KNOWN[network].programs.values() if each]


def close(found, expected):
    """Assert that they are equal to 1e-5 of the largest number, which is not 0."""
    assert np.abs(expected).max() > 0
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-5 * np.abs(expected).max())
