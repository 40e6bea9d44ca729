"""What the methods of relevance refuse, and that they leave everything as it was."""

import numpy as np
import paddle
import pytest
from paddle import nn
from paddle.nn import functional
from relevance_network import Residual, images
from transformers import Vit

from visualize_pd import VisualizeError, deep_lift, lrp
from visualize_pd.attribution.configured import configure_method
from visualize_pd.attribution.relevance.carried import operations
from visualize_pd.attribution.relevance.deep_lift import ACTIVATIONS


def batch():
    return paddle.to_tensor(images())


class Net(nn.Layer):
    """A convolution, a function of its maps, and a linear layer."""

    def __init__(self, function):
        super().__init__()
        self.conv, self.out, self.function = nn.Conv2D(3, 4, 3), nn.Linear(4, 3), function

    def forward(self, batch):
        return self.out(self.function(self.conv(batch)).mean([2, 3]))


@pytest.mark.parametrize(
    "method, function, sentence",
    [
        (lrp, lambda maps: maps * maps, "lrp has no rule for a product of two feature maps"),
        (lrp, lambda maps: 1 / (maps * 0 + 2), "a quotient of two feature maps"),
        (lrp, lambda maps: paddle.exp(maps), "the operation exp"),
        (lrp, functional.sigmoid, "takes a sigmoid for a gate"),
        (lrp, lambda maps: functional.relu6(maps).clip(0, 1), "the operation clip"),
        (deep_lift, lambda maps: maps * maps.mean([2, 3], keepdim=True).exp(), "operation exp"),
        (deep_lift, lambda maps: functional.softmax(maps, 1), "use transformer_attribution"),
        (lrp, lambda maps: functional.softmax(maps, 1), "use transformer_attribution"),
    ],
)
def test_operation_without_a_rule_is_refused(method, function, sentence):
    with pytest.raises(VisualizeError, match=sentence):
        method(Net(function), batch(), 1)


@pytest.mark.parametrize("method", [lrp, deep_lift])
def test_transformer_is_refused_by_the_name_of_the_right_method(method):
    values = np.random.default_rng(0).standard_normal((1, 3, 12, 8), dtype="float32")
    with pytest.raises(VisualizeError, match="use transformer_attribution"):
        method(Vit(), paddle.to_tensor(values), 1)


@pytest.mark.parametrize(
    "options, sentence",
    [
        ({"composite": "plus"}, "unknown composite 'plus'; use epsilon_plus_flat"),
        ({"epsilon": -1.0}, "epsilon must be a number of at least 0"),
        ({"gamma": float("nan")}, "gamma must be a number of at least 0"),
        ({"alpha": 0.5}, "alpha must be a number of at least 1"),
        ({"low": "dark"}, "low must be a number or null, not 'dark'"),
        ({"low": 1.0, "high": 1.0}, "low must be less than high"),
    ],
)
def test_wrong_number_is_refused(options, sentence):
    with pytest.raises(VisualizeError, match=sentence):
        lrp(Residual(), batch(), 1, **options)


def test_unknown_composite_is_refused_in_a_config():
    with pytest.raises(VisualizeError, match="unknown composite 'flat'"):
        configure_method({"name": "lrp", "composite": "flat"})


def places():
    modules = [paddle.nn.functional.conv, paddle.nn.functional, paddle.Tensor, paddle.Tensor]
    named = list(zip(modules, ["_conv_nd", "linear", "__mul__", "__rmul__"]))
    names = [*ACTIVATIONS, "batch_norm", "pool2d", "max_pool2d_with_index", "multiply"]
    return [getattr(*where) for where in [*named, *operations(*names)]]


@pytest.mark.parametrize("method", [lrp, deep_lift])
@pytest.mark.parametrize("fails", [False, True])
def test_operations_are_restored(method, fails):
    network, before = Residual(), places()

    def explode(*_):
        raise ZeroDivisionError

    if fails:
        network.out.register_forward_pre_hook(explode)
        with pytest.raises(ZeroDivisionError):
            method(network, batch(), 1)
    else:
        method(network, batch(), 1)
    assert places() == before


def test_layer_that_has_a_batch_norm_only_sometimes_is_refused_in_a_sentence():
    class Sometimes(nn.Layer):
        def __init__(self):
            super().__init__()
            self.conv, self.norm, self.used = nn.Conv2D(3, 4, 3), nn.BatchNorm2D(4), True

        def forward(self, batch):
            maps = self.conv(batch)
            return (self.norm(maps) if self.used else maps).mean([2, 3])

    network = Sometimes()
    lrp(network, batch(), 1)
    network.used = False
    with pytest.raises(VisualizeError, match="in one pass but not in another"):
        lrp(network, batch(), 1)
