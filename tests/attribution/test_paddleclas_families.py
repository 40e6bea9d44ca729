"""Maps of the families of PaddleClas, with random weights."""

import importlib.util

import numpy as np
import paddle
import pytest

from visualize_pd.attribution.methods import METHODS
from visualize_pd.models.loading import load_model
from visualize_pd.network.gradients import record_forward
from visualize_pd.network.layers.feature_maps import capture_blocks, default_feature_maps

if importlib.util.find_spec("paddleclas") is None:
    pytest.skip("PaddleClas is not installed", allow_module_level=True)

# The layer of a CAM: the last block of a convolutional network, the last block but one in Swin, and
# the first normalisation of the last block where only the class token is read.
LAYERS = {
    "PPLCNet_x0_25": "blocks6",
    "PPHGNetV2_B0": "stages.3",
    "ResNet18_vd": "blocks",
    "MobileNetV3_small_x0_35": "last_second_conv",
    "ConvNeXt_tiny": "stages.3",
    "SwinTransformer_tiny_patch4_window7_224": "layers.3.blocks.0",
    "DeiT_tiny_patch16_224": "blocks.11.norm1",
}


@pytest.fixture(scope="module", params=LAYERS)
def family(request):
    """The name, the network and an image."""
    paddle.seed(0)
    network = load_model(f"paddleclas:{request.param}", "random", num_classes=5).network
    return request.param, network, paddle.randn([1, 3, 224, 224])


def test_gradient_is_that_of_the_score(family, monkeypatch):
    """Without the fast layers, whose rounding changes which ReLUs and maxima are open."""
    monkeypatch.setenv("VISUALIZE_PD_FAST", "0")
    _, network, images = family
    leaf = images.detach()
    leaf.stop_gradient = False
    logits = network(leaf)
    assert logits.shape == [1, 5]
    expected = paddle.grad(logits[0, 3], leaf)[0].numpy()
    found = METHODS["gradient"](network, images, 3).numpy()
    assert np.abs(expected).max() > 0
    assert np.allclose(found, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


def test_a_cam_lies_on_the_last_block(family):
    name, network, images = family
    with capture_blocks(network) as blocks:
        passed = record_forward(network, images, layers=network.sublayers())
    chosen = default_feature_maps(network, passed, blocks).layer
    names = {id(layer): each for each, layer in network.named_sublayers()}
    assert names[id(chosen)] == LAYERS[name]
    maps = METHODS["grad_cam"](network, images).numpy()
    assert np.isfinite(maps).all() and maps.max() > 0
    assert maps.std() > 0


def test_transformer_attribution_of_a_batch_is_that_of_single_images():
    paddle.seed(0)
    network = load_model("paddleclas:DeiT_tiny_patch16_224", "random", num_classes=5).network
    images = paddle.randn([2, 3, 224, 224])
    attribute = METHODS["transformer_attribution"]
    both = attribute(network, images, [1, 3]).numpy()
    for index, target in enumerate([1, 3]):
        single = attribute(network, images[index : index + 1], target).numpy()
        assert np.abs(single).max() > 0
        np.testing.assert_allclose(both[index : index + 1], single, rtol=1e-4, atol=1e-6)
