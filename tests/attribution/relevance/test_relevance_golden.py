"""Relevance by zennit, and DeepLIFT by Captum, of a network with the same weights."""

from pathlib import Path

import numpy as np
import paddle
import pytest
from relevance_network import Residual, images

from visualize_pd import deep_lift, lrp
from visualize_pd.attribution.relevance.rules import COMPOSITES

GOLDEN = Path(__file__).parents[2] / "golden/relevance.npz"  # made by make_relevance.py there
TARGETS, BOX = [1, 3], {"low": -4.0, "high": 4.0}
OPTIONS = {
    "epsilon_gamma_box": BOX,
    "epsilon": {"epsilon": 0.25},
    "gamma": {"gamma": 0.5},
    "alpha_beta": {"alpha": 3.0},
}

pytestmark = pytest.mark.usefixtures("fast_and_plain")


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN, allow_pickle=False) as found:
        return dict(found)


def near(found, expected, tolerance):
    assert np.abs(found.numpy() - expected).max() <= tolerance * np.abs(expected).max()


def test_network_is_the_same(golden):
    near(Residual()(paddle.to_tensor(images())), golden["logits"], 1e-6)


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("composite", COMPOSITES)
def test_relevance_equals_zennit(golden, composite, again):
    """A second call knows which layers have a BatchNorm after them, and computes less."""
    network, batch, options = Residual(), paddle.to_tensor(images()), OPTIONS.get(composite, {})
    for _ in range(1 + again):
        maps = lrp(network, batch, TARGETS, composite=composite, **options)
    # zennit adds 1e-6 to each denominator, which counts where contributions of one sign are few
    near(maps, golden[composite], 1e-4 if "alpha" in composite else 2e-5)


@pytest.mark.parametrize("name", ["zero", "tensor"])
def test_rescale_rule_equals_captum(golden, name):
    """With average pooling. `test_relevance_definitions.py` has the maximum."""
    network, batch = Residual(), paddle.to_tensor(images())
    network.pool = paddle.nn.AvgPool2D(2)
    baseline = "zero" if name == "zero" else paddle.flip(batch, [2]) / 2
    maps = deep_lift(network, batch, TARGETS, baseline=baseline)
    near(maps, golden[f"deep_lift_{name}"], 2e-5)
