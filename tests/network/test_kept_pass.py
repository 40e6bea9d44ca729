"""A kept pass gives the same maps as new passes, and a second class runs no layer again."""

import numpy as np
import paddle
import pytest
import tiny
from transformers import Vit

import visualize_pd as vp
from visualize_pd.network.hooks import capture_outputs
from visualize_pd.network.kept_pass import KeptPass, reuse_pass

CAMS = ["grad_cam", "grad_cam_pp", "xgrad_cam", "layer_cam", "eigen_grad_cam"]


def vit():
    paddle.seed(0)
    return Vit(3, patch=8)


@pytest.fixture(params=[tiny.small_net, vit], ids=["convolutions", "transformer"])
def network(request):
    network = request.param()
    network.eval()
    return network


@pytest.fixture
def images():
    return paddle.to_tensor(np.random.default_rng(0).normal(size=(1, 3, 32, 32)), dtype="float32")


@pytest.mark.parametrize("name", CAMS)
def test_maps_of_all_classes_are_those_of_new_passes(network, images, name, fast_and_plain):
    method = vp.METHODS[name]
    expected = [method(network, images, target, relu=False).numpy() for target in (0, 1, 2)]
    kept = KeptPass(network, images)
    with reuse_pass(kept):
        for _ in range(2):
            for target in (2, 0, 1):
                found = method(network, images, target, relu=False).numpy()
                np.testing.assert_allclose(found, expected[target], rtol=1e-5, atol=1e-7)


def test_second_class_runs_no_layer(network, images):
    kept = KeptPass(network, images)
    with reuse_pass(kept), capture_outputs(*network.sublayers()) as calls:
        for target in (0, 1, 0):
            vp.grad_cam(network, images, target)
        score = vp.scores.contrast([2])
        contrast = vp.grad_cam(network, images, 1, score=score, relu=False).numpy()
        assert calls == []
    expected = vp.grad_cam(network, images, 1, score=score, relu=False).numpy()
    np.testing.assert_allclose(contrast, expected, rtol=1e-5, atol=1e-7)


def test_other_images_get_a_pass_of_their_own(network, images):
    other = images * 0.5
    expected = vp.grad_cam(network, other, 1, relu=False).numpy()
    with reuse_pass(KeptPass(network, images)):
        found = vp.grad_cam(network, other, 1, relu=False).numpy()
        smooth = vp.grad_cam(network, images, 1, relu=False, aug_smooth=True).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)
    expected = vp.grad_cam(network, images, 1, relu=False, aug_smooth=True).numpy()
    np.testing.assert_allclose(smooth, expected, rtol=1e-5, atol=1e-7)


def test_logits_are_those_of_the_network(network, images):
    found = KeptPass(network, images).logits.numpy()
    np.testing.assert_allclose(found, network(images).numpy(), rtol=1e-5, atol=1e-6)
