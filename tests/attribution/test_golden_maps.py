"""Methods that Captum or pytorch-grad-cam also have, against the numbers of those libraries.

`tests/golden/make_attributions.py` made the numbers, and says where those libraries were changed.
Both sides run in float64, where no layer is fast. In float32, rounding would open or close some
ReLUs on one side only.
"""

import sys
from functools import partial
from pathlib import Path

import numpy as np
import paddle
import pytest

import visualize_pd as v
from visualize_pd.models.weights.fitting import fit

GOLDEN = Path(__file__).parents[1] / "golden"
sys.path.insert(0, str(GOLDEN))
import make_attributions as made  # noqa: E402

# Relative errors. The file holds float32. pytorch-grad-cam also computes its maps in float32, and
# adds small numbers to its denominators.
CAPTUM, MAPS = 1e-6, 1e-5

INTEGRATED = partial(v.integrated_gradients, steps=made.STEPS)
SMOOTH = partial(v.smooth_grad, samples=made.SAMPLES, noise=made.NOISE, seed=made.SEED)
# These squares fit exactly. Otherwise the last square would end at the edge here, and Captum would
# cut it off.
OCCLUSION = partial(v.occlusion, size=96, stride=64)
GUIDED = partial(v.activation_gradient, layer="features.8", filter=made.FILTER)

ATTRIBUTIONS = {
    "gradient": v.gradient,
    "gradient_probability": partial(v.gradient, score="probability"),
    "gradient_log_probability": partial(v.gradient, score="log_probability"),
    "saliency": v.saliency,
    "grad_times_input": v.grad_times_input,
    "guided_backprop": v.guided_backprop,
    "deconvnet": v.deconvnet,
    "activation_gradient": GUIDED,
    "integrated_gradients": INTEGRATED,
    "integrated_gradients_midpoint": partial(INTEGRATED, quadrature="midpoint"),
    "integrated_gradients_trapezoid": partial(
        INTEGRATED,
        quadrature="trapezoid",
        baseline=paddle.to_tensor(made.baseline().astype("float64")),
    ),
    "integrated_gradients_probability": partial(INTEGRATED, score="probability"),
    "integrated_gradients_log_probability": partial(INTEGRATED, score="log_probability"),
    "smooth_grad": SMOOTH,
    "smooth_grad_squared": partial(SMOOTH, average="squared"),
    "smooth_grad_variance": partial(SMOOTH, average="variance"),
    "guided_grad_cam": v.guided_grad_cam,
    "occlusion": OCCLUSION,
    "occlusion_log_probability": partial(OCCLUSION, score="log_probability"),
}
CAMS = {
    "grad_cam": v.grad_cam,
    "grad_cam_pp": v.grad_cam_pp,
    "xgrad_cam": v.xgrad_cam,
    "layer_cam": v.layer_cam,
    "eigen_cam": v.eigen_cam,
    "eigen_grad_cam": v.eigen_grad_cam,
    "ablation_cam": v.ablation_cam,
    "grad_cam_eigen_smooth": partial(v.grad_cam, eigen_smooth=True),
    "grad_cam_earlier": partial(v.grad_cam, target_layer="features.4"),
}
AVERAGES = {
    "grad_cam_layers": partial(v.grad_cam, target_layer=["features.4", "features.11"]),
    "grad_cam_aug_smooth": partial(v.grad_cam, aug_smooth=True),
}


@pytest.fixture(scope="module")
def golden():
    return np.load(GOLDEN / "attributions.npz")


@pytest.fixture(scope="module")
def network():
    network = v.AlexNet()
    network.set_state_dict(fit(made.weights(), network, Path("alexnet.pth")))
    return network.to(dtype="float64")


@pytest.fixture(scope="module")
def images():
    return paddle.to_tensor(made.batch().astype("float64"))


@pytest.fixture(scope="module")
def baseline():
    return paddle.to_tensor(made.baseline().astype("float64"))


def assert_close(actual, expected, relative):
    """Assert max |difference| / max |expected| for each image separately."""
    assert actual.shape == expected.shape
    for ours, theirs in zip(actual, expected):
        assert np.abs(ours - theirs).max() <= relative * np.abs(theirs).max()


def assert_map(maps, name, golden):
    """Compare the map scaled to [0, 1], as pytorch-grad-cam returns it, and its original range."""
    low, high = (f(maps, axis=(1, 2, 3), keepdims=True) for f in (np.min, np.max))
    assert_close(made.sample((maps - low) / (high - low)), golden[name], MAPS)
    assert_close(np.concatenate([low, high], axis=1)[..., 0, 0], golden[f"{name}_range"], MAPS)


@pytest.mark.parametrize("name", ATTRIBUTIONS)
def test_map_equals_that_of_captum(name, network, images, golden):
    attribution = ATTRIBUTIONS[name](network, images, made.TARGETS).numpy()
    assert_close(made.sample(attribution), golden[name], CAPTUM)


def test_integrated_gradients_from_a_baseline_equal_captum(network, images, baseline, golden):
    found = INTEGRATED(network, images, made.TARGETS, baseline=baseline, return_gap=True)
    attribution, gap = (tensor.numpy() for tensor in found)
    assert_close(made.sample(attribution), golden["integrated_gradients_baseline"], CAPTUM)
    assert_close(gap, golden["integrated_gradients_gap"], CAPTUM)


def test_occlusion_with_a_baseline_equals_captum(network, images, baseline, golden):
    attribution = OCCLUSION(network, images, made.TARGETS, baseline=baseline).numpy()
    assert_close(made.sample(attribution), golden["occlusion_baseline"], CAPTUM)


@pytest.mark.parametrize("name", CAMS)
def test_map_equals_that_of_pytorch_grad_cam(name, network, images, golden):
    assert_map(CAMS[name](network, images, made.TARGETS).numpy(), name, golden)


def test_score_cam_equals_that_of_pytorch_grad_cam(network, images, golden):
    rows = made.SECOND
    maps = v.score_cam(network, images[rows], made.TARGETS[rows]).numpy()
    assert_map(maps, "score_cam", golden)


@pytest.mark.parametrize("name", AVERAGES)
def test_averaged_map_equals_that_of_pytorch_grad_cam(name, network, images, golden):
    maps = AVERAGES[name](network, images, made.TARGETS).numpy()
    assert_close(made.sample(maps), golden[name], MAPS)


def test_every_array_of_the_file_is_compared(golden):
    maps = [*CAMS, "score_cam"]
    others = ["integrated_gradients_baseline", "integrated_gradients_gap", "occlusion_baseline"]
    compared = [*ATTRIBUTIONS, *others, *AVERAGES, *maps, *(f"{name}_range" for name in maps)]
    assert sorted(golden.files) == sorted(compared)
