"""Every method on one network of each family in `paddle.vision.models`, with random weights."""

from collections.abc import Callable
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import paddle
import pytest
from every_method import METHODS
from network_state import state_of
from paddle import nn
from paddle.autograd import PyLayer
from paddle.nn import functional
from toys import close
from transformers import ATTENTION_METHODS

from visualize_pd import load_model
from visualize_pd.network.fast.layers import fast_layers
from visualize_pd.network.fast.whole import forward
from visualize_pd.network.gradients import record_forward
from visualize_pd.network.hooks import frozen
from visualize_pd.network.layers.feature_maps import default_feature_maps, is_feature_maps
from visualize_pd.network.scores import logits_of

pytestmark = pytest.mark.filterwarnings("ignore:When training, we now always track")


class Family(NamedTuple):
    """What is known about a network from its architecture.

    `size`: the height and width of its images. `layer`: the layer that returns its last
    convolutional feature maps. `maps`: their shape `[C, h, w]`. `relus`: how many ReLUs one forward
    pass calls. `head`: a function that makes the logits of those feature maps, without any
    convolution, activation or shortcut. `lowest`: the lowest value that the feature maps can have.
    """

    size: tuple[int, int]
    layer: str
    maps: tuple[int, int, int]
    relus: int
    head: Callable[[nn.Layer, paddle.Tensor], paddle.Tensor]
    lowest: float = 0.0


def pooled(classifier):
    """A head of global average pooling and the named layers of a network."""

    def head(network, maps):
        output = maps.mean(axis=[2, 3])
        for name in classifier:
            output = getattr(network, name)(output)
        return output

    return head


def alexnet_head(network, maps):
    """AlexNet after its fifth ReLU."""
    output = network._conv5._pool(maps).flatten(1)
    output = functional.relu(network._fc6(network._drop1(output)))
    return network._fc8(functional.relu(network._fc7(network._drop2(output))))


# The sizes are close to the smallest with which the last feature maps have more than one pixel.
NETWORKS = {
    "AlexNet": Family((223, 239), "_conv5.relu", (256, 13, 14), 7, alexnet_head),
    "vgg11": Family(
        *((64, 80), "features.19", (512, 4, 5), 10),
        lambda net, maps: net.classifier(net.avgpool(net.features[20](maps)).flatten(1)),
    ),
    "resnet18": Family((64, 72), "layer4", (512, 2, 3), 17, pooled(["fc"])),
    "densenet121": Family((64, 96), "batch_norm", (1024, 2, 3), 121, pooled(["out"])),
    "googlenet": Family((189, 221), "_ince5b", (1024, 5, 6), 10, pooled(["_drop", "_fc_out"])),
    "inception_v3": Family(
        (107, 139), "inception_block_list.10", (2048, 2, 3), 94, pooled(["dropout", "fc"])
    ),
    "mobilenet_v1": Family((64, 72), "conv6", (1024, 2, 3), 27, pooled(["fc"])),
    "mobilenet_v2": Family((64, 72), "features", (1280, 2, 3), 35, pooled(["classifier"])),
    # The lowest value of a hardswish is -3/8.
    "mobilenet_v3_small": Family(
        (64, 72), "lastconv", (576, 2, 3), 14, pooled(["classifier"]), lowest=-0.375
    ),
    "shufflenet_v2_x0_25": Family((64, 72), "_last_conv", (512, 2, 3), 37, pooled(["_fc"])),
    # The last convolution has one channel for each class. The ReLU after it is a function.
    "squeezenet1_1": Family(
        *((64, 96), "_conv9", (10, 3, 5), 26),
        lambda net, maps: functional.relu(maps).mean(axis=[2, 3]),
        lowest=-np.inf,
    ),
    "resnext50_32x4d": Family((64, 72), "layer4", (2048, 2, 3), 49, pooled(["fc"])),
    "LeNet": Family(
        *((28, 29), "features.4", (16, 10, 10), 2),
        lambda net, maps: net.fc(net.features[5](maps).flatten(1)),
    ),
}


class Built(NamedTuple):
    name: str
    family: Family
    network: nn.Layer
    images: paddle.Tensor
    state: dict


def random_images(count, channels, size, seed):
    values = np.random.default_rng(seed).standard_normal((count, channels, *size), dtype="float32")
    return paddle.to_tensor(values)


def set_batch_norm_statistics(network, images):
    """Take the statistics of every batch norm from some images, as after training.

    Without it the activations shrink from layer to layer: MobileNet's logits are about 1e-16.
    """
    norms = [layer for layer in network.sublayers() if hasattr(layer, "_momentum")]
    usual = [norm._momentum for norm in norms]
    for norm in norms:
        norm._momentum = 0.0
    if norms:
        network.train()
        with paddle.no_grad():
            network(images)
    for norm, momentum in zip(norms, usual):
        norm._momentum = momentum
    network.eval()


def state_with_sums(network):
    """The state, of each parameter a sum of some values. All of them are half a gigabyte here."""
    return state_of(network, summary=some_values)


def some_values(value):
    return value.flatten()[:: max(1, value.size // 4096)].sum().item()


@pytest.fixture(autouse=True, scope="module")
def nothing_is_compiled():
    """Compiling would take longer than all passes here. `test_fast_compiled.py` tests it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(forward, "COMPILE_AFTER_SECONDS", np.inf)
        yield


@pytest.fixture(scope="module", params=NETWORKS)
def built(request):
    family = NETWORKS[request.param]
    paddle.seed(0)
    classifier = load_model(request.param, weights="random", num_classes=10)
    channels = len(classifier.mean)
    network = classifier.network
    set_batch_norm_statistics(network, random_images(8, channels, family.size, seed=1))
    images = random_images(2, channels, family.size, seed=2)
    return Built(request.param, family, network, images, state_with_sums(network))


IN_COLOUR = {
    *("gradient", "grad_times_input", "guided_backprop", "deconvnet", "integrated_gradients"),
    *("smooth_grad", "activation_gradient", "guided_grad_cam", "lrp", "deep_lift"),
    *("gradient_shap", "expected_gradients", "guided_ig", "blur_ig"),
}
FEW = {
    "integrated_gradients": {"steps": 2},
    "gradient_shap": {"samples": 2},
    "expected_gradients": {"samples": 2},
    "guided_ig": {"steps": 2},
    "blur_ig": {"steps": 2},
    "smooth_grad": {"samples": 2},
    "rise": {"masks": 2},
    "sobol": {"samples": 2, "cells": 2},
    "hsic": {"samples": 4, "cells": 2},
    "lime": {"samples": 4},
    "kernel_shap": {"samples": 4},
    "xrai": {"steps": 2},
}


def options(method, built):
    """Options with which a method needs few passes. Score-CAM needs one for each channel."""
    if method == "occlusion":
        side = min(built.family.size) * 3 // 4
        return {"size": side, "stride": side}
    if method == "score_cam" and built.family.maps[0] > 64:
        layers = built.network.named_sublayers()
        filters = [(name, layer.weight) for name, layer in layers if isinstance(layer, nn.Conv2D)]
        wide = [(name, weight) for name, weight in filters if weight.shape[2] > 1]
        return {"target_layer": min(wide, key=lambda one: one[1].shape[0])[0]}
    return FEW.get(method, {})


@pytest.mark.parametrize("method", [each for each in METHODS if each not in ATTENTION_METHODS])
def test_method_gives_a_map(built, method):
    """The map of the predicted class. For another class a CAM may be 0 everywhere."""
    images, pixels = built.images[:1], built.images[:1].numpy().tobytes()
    maps = METHODS[method](built.network, images, **options(method, built)).numpy()
    channels = images.shape[1] if method in IN_COLOUR else 1
    assert maps.shape == (1, channels, *built.family.size)
    assert np.isfinite(maps).all() and maps.any() and np.ptp(maps) > 0
    if method.endswith(("cam", "cam_pp")) and method != "guided_grad_cam":
        assert maps.min() >= 0
    assert state_with_sums(built.network) == built.state
    assert images.stop_gradient and images.grad is None and images.numpy().tobytes() == pixels


# The methods that are compared on single images, for each network.
ALONE = {
    "resnet18": ["guided_backprop", "rise", "refine_cam"],
    "densenet121": ["deconvnet", "grad_cam"],
    "googlenet": ["layer_cam"],
    "mobilenet_v1": ["occlusion", "lrp"],
    "mobilenet_v2": ["integrated_gradients", "xgrad_cam", "full_grad"],
    "mobilenet_v3_small": ["guided_grad_cam", "eigen_cam", "deep_lift"],
    "shufflenet_v2_x0_25": ["smooth_grad", "eigen_grad_cam"],
    "squeezenet1_1": ["activation_gradient", "ablation_cam"],
    "LeNet": [each for each in METHODS if each not in ATTENTION_METHODS],
}


@pytest.mark.parametrize("built", ALONE, indirect=True)
def test_batch_gives_what_single_images_give(built):
    targets = logits_of(built.network(built.images)).argmax(axis=1).tolist()
    for method in ALONE[built.name]:
        few = options(method, built)
        together = METHODS[method](built.network, built.images, targets, **few).numpy()
        for i, target in enumerate(targets):
            alone = METHODS[method](built.network, built.images[i : i + 1], target, **few)
            close(together[i], alone.numpy()[0], 1e-4)


def test_default_layer_is_that_of_the_architecture(built):
    network, family = built.network, built.family
    passed = record_forward(network, built.images, layers=network.sublayers())
    found = default_feature_maps(network, passed)
    layer, maps, gradient = found.layer, found.maps, found.slope
    assert layer is dict(network.named_sublayers())[family.layer]
    assert tuple(maps.shape) == (2, *family.maps) and is_feature_maps(maps)
    assert family.lowest <= maps.min().item() < maps.max().item()
    close(family.head(network, maps).numpy(), passed.logits.numpy())
    (expected,) = paddle.grad(passed.scores.sum(), [maps])
    close(gradient.numpy(), expected.numpy())


class Guided(PyLayer):
    """A ReLU with the backward pass of guided backpropagation. A ReLU6 has the bound `high`."""

    @staticmethod
    def forward(context, x, high):
        y = x.clip(0, high)
        context.save_for_backward(paddle.logical_and(y > 0, y < high).astype(x.dtype))
        return y

    @staticmethod
    def backward(context, gradient):
        (is_open,) = context.saved_tensor()
        return gradient.clip(min=0) * is_open


class Deconvnet(Guided):
    @staticmethod
    def backward(context, gradient):
        return gradient.clip(min=0)


@contextmanager
def every_relu(network, rule):
    """Put `rule` in place of every ReLU of a network: in layers, functions and batch norms."""
    called = []

    def ruled(high):
        def relu(x, name=None):
            called.append(high)
            return rule.apply(x, high)

        return relu

    relu = ruled(3e38)
    norms = [layer for layer in network.sublayers() if getattr(layer, "_act", None) == "relu"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(functional, "relu", relu)
        patch.setattr(functional, "relu6", ruled(6.0))
        for norm in norms:
            patch.setattr(norm, "_act", None)
        hooks = [norm.register_forward_post_hook(lambda _, __, out: relu(out)) for norm in norms]
        try:
            yield called
        finally:
            for hook in hooks:
                hook.remove()


@pytest.mark.parametrize(
    ("method", "rule"), [("guided_backprop", Guided), ("deconvnet", Deconvnet)]
)
def test_rule_reaches_every_relu(built, method, rule):
    """The map equals that of the same network with every ReLU replaced by hand.

    Both use the fast layers. With other rounding some ReLUs would be open in one of them only.
    """
    image = built.images[:1].clone()
    image.stop_gradient = False
    network = built.network
    with every_relu(network, rule) as called, frozen(network), fast_layers():
        logits = logits_of(network(image))
        (expected,) = paddle.grad(logits[:, 3].sum(), [image])
    assert len(called) == built.family.relus
    close(METHODS[method](built.network, built.images[:1], 3).numpy(), expected.numpy())
