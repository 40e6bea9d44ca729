"""Fixtures that several tests in this folder use."""

import paddle
import pytest
from relu_toys import OPERATIONS


@pytest.fixture
def operations_are_restored():
    """After the test, ReLU and ReLU6 must be Paddle's own operations again."""
    yield
    assert {name: getattr(paddle._C_ops, name) for name in OPERATIONS} == OPERATIONS
