"""AlexNet and EfficientNet-Lite0 against the numbers that PyTorch gives.

`tests/golden/make_golden.py` made the numbers, and says how.
"""

import sys
from pathlib import Path

import numpy as np
import paddle
import pytest

from visualize_pd import AlexNet, input_gradient, load_model
from visualize_pd.models.weights.fitting import fit

GOLDEN = Path(__file__).parents[1] / "golden"
sys.path.insert(0, str(GOLDEN))
import make_golden  # noqa: E402


@pytest.fixture(scope="module")
def golden():
    return np.load(GOLDEN / "networks.npz")


def assert_close(actual, expected, relative):
    """Assert a bound for the norm of the difference, as a share of the norm of the expected."""
    assert actual.shape == expected.shape
    assert np.linalg.norm(actual - expected) <= relative * np.linalg.norm(expected)


def assert_golden(network, name, images, golden, relative):
    gradient = input_gradient(network, images, make_golden.TARGETS).numpy()
    assert_close(network(images).numpy(), golden[f"{name}_logits"], relative)
    assert_close(make_golden.sample(gradient), golden[f"{name}_gradient"], relative)
    norm = np.linalg.norm(gradient.astype("f8"))
    assert norm == pytest.approx(float(golden[f"{name}_gradient_norm"]), rel=relative)


@pytest.mark.usefixtures("fast_and_plain")
def test_alexnet_equals_that_of_pytorch(golden):
    network = AlexNet()
    network.set_state_dict(fit(make_golden.alexnet_weights(), network, Path("alexnet.pth")))
    network.eval()
    assert sum(parameter.size for parameter in network.parameters()) == 61_100_840
    assert_golden(network, "alexnet", paddle.to_tensor(make_golden.batch()), golden, 1e-4)


def test_packaged_efficientnet_equals_that_of_pytorch(golden):
    """In float64. In float32, rounding would open or close some ReLU6 on one side only."""
    network = load_model("efficientnet_lite0").network.to(dtype="float64")
    images = paddle.to_tensor(make_golden.batch().astype("float64"))
    assert_golden(network, "efficientnet_lite0", images, golden, 1e-6)


def test_installed_pytorch_gives_the_golden_numbers(golden):
    pytest.importorskip("torch")
    logits, gradient = make_golden.passes(make_golden.torch_alexnet())
    assert_close(logits, golden["alexnet_logits"], 1e-5)
    assert_close(make_golden.sample(gradient), golden["alexnet_gradient"], 1e-5)
