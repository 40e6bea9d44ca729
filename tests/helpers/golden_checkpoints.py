"""The weight files in `tests/golden`, and the arrays that they must give.

PyTorch wrote `golden/checkpoint_*.pth`, and numpy wrote the expected arrays; see
`golden/checkpoint_torch.py`.
"""

from pathlib import Path

import numpy as np
import paddle

GOLDEN = Path(__file__).parents[1] / "golden"
EXPECTED = dict(np.load(GOLDEN / "checkpoint_expected.npz"))


def golden_arrays(prefix):
    """The expected arrays of one of the files: net, views or trained."""
    return {k.partition("/")[2]: v for k, v in EXPECTED.items() if k.startswith(prefix + "/")}


def assert_arrays(found, expected):
    """Assert that float32 arrays have the same names and exactly the same values."""
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert found[name].dtype == np.float32, name
        np.testing.assert_array_equal(found[name], np.asarray(array, "f4"), err_msg=name)


def network_with_statistics():
    """A small network with a batch norm, which has running statistics."""
    paddle.seed(3)
    return paddle.nn.Sequential(
        paddle.nn.Conv2D(2, 3, 3), paddle.nn.BatchNorm2D(3), paddle.nn.Linear(3, 2)
    )
