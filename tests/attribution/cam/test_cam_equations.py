"""Each CAM gives the map that the equation of its paper gives."""

import numpy as np
import paddle
import pytest
from cam_toys import (
    CAMS,
    EQUATIONS,
    PolynomialNetwork,
    identity_conv,
    layer_cam_equation,
    nonnegative_images,
    random_network,
    resized,
)
from paddle import nn
from toys import close

import visualize_pd


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # The mean gradients of the two channels are 1 and −1.
        ("grad_cam", [2, 3 - 1, 0]),
        # 2 · 4/(8 + 5·8), at two pixels, gives ⅓. 2 · 4/(8 + 4·8), at one pixel, gives ⅕.
        ("grad_cam_pp", [2 / 3, 1 + 1 / 5, 3 / 5]),
        # The weights are (2·2 − 3·1)/5 = ⅕ and (1·2 − 3·1)/4 = −¼. The last pixel is −¾.
        ("xgrad_cam", [2 / 5, 3 / 5 - 1 / 4, 0]),
        ("layer_cam", [4, 2, 0]),
        # 2·2 − 0·4, 3·(−1) + 1·2, 0·2 + 3·(−1)
        ("hires_cam", [4, 0, 0]),
    ],
)
def test_map_of_three_pixels_by_hand(name, expected):
    """Maps of one row. Some gradients are negative, and the third channel is 0 everywhere."""
    maps = np.float32([[[2, 3, 0]], [[0, 1, 3]], [[0, 0, 0]]])
    gradients = np.float32([[[[2, -1, 2]], [[-4, 2, -1]], [[5, 5, 5]]]])
    heat = CAMS[name](PolynomialNetwork(gradients), paddle.to_tensor(maps[None]), 0).numpy()
    np.testing.assert_allclose(heat, np.reshape(expected, (1, 1, 1, 3)), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", EQUATIONS)
def test_map_follows_the_equation_of_its_paper(name):
    network, batch, targets = random_network(bend=0.3), nonnegative_images(), [2, 0]
    heat = CAMS[name](network, paddle.to_tensor(batch), targets).numpy()
    expected = [
        EQUATIONS[name](network.maps(image), network.gradient(network.maps(image), target))
        for image, target in zip(batch, targets)
    ]
    close(heat, np.maximum(expected, 0)[:, None])


@pytest.mark.parametrize("name", EQUATIONS)
@pytest.mark.parametrize(("height", "width"), [(8, 12), (7, 12), (8, 11)])
def test_relu_comes_before_the_bilinear_resize(name, height, width):
    network = random_network(stride=2)
    batch = nonnegative_images(height=height, width=width, seed=6)
    heat = CAMS[name](network, paddle.to_tensor(batch), 1).numpy()
    expected = [
        resized(np.maximum(EQUATIONS[name](maps, network.gradient(maps, 1)), 0), height, width)
        for maps in map(network.maps, batch)
    ]
    close(heat, np.stack(expected)[:, None])


@pytest.mark.parametrize("score", ["logit", "probability", "log_probability"])
def test_gradient_is_taken_of_the_chosen_score(score):
    network, batch = random_network(), nonnegative_images(1)
    heat = visualize_pd.layer_cam(network, paddle.to_tensor(batch), 1, score=score).numpy()
    maps = network.maps(batch[0])
    gradients = np.stack([network.gradient(maps, target) for target in range(3)])
    p = np.exp(network.logits(maps))
    p /= p.sum()
    of_log = gradients[1] - sum(one * gradient for one, gradient in zip(p, gradients))
    of_score = {"logit": gradients[1], "probability": p[1] * of_log, "log_probability": of_log}
    close(heat[0, 0], layer_cam_equation(maps, of_score[score]))


def test_hires_cam_is_exact_before_pooling_and_a_linear_layer():
    """S_c − b_c = Σ over places of Σ_k w_ck · A_k / (h · w), and the map is the summands.

    The second class has no negative weights, so that ReLU takes nothing away.
    """
    linear = nn.Linear(3, 2)
    linear.weight.set_value(np.float32([[1, 3], [-2, 1], [2, 0.5]]))
    linear.bias.set_value(np.float32([5, 7]))
    network = nn.Sequential(identity_conv(3), nn.AdaptiveAvgPool2D(1), nn.Flatten(), linear)
    batch = np.random.default_rng(2).random((2, 3, 4, 6)).astype("float32")
    for c in (0, 1):
        exact = np.einsum("nkhw,k->nhw", batch, linear.weight.numpy()[:, c]) / 24
        heat = visualize_pd.hires_cam(network, paddle.to_tensor(batch), c).numpy()[:, 0]
        close(heat, np.maximum(exact, 0))
    scores = network(paddle.to_tensor(batch)).numpy()[:, 1]
    np.testing.assert_allclose(heat.sum((1, 2)), scores - 7, rtol=1e-5)


@pytest.mark.parametrize(("first", "second", "sign"), [(4, -3, 1), (3, -4, -1)])
def test_sign_of_the_component_follows_the_strong_features(first, second, sign):
    """The maps are A_k = a_k · P + b_k, so the component is ±|a| · (P − mean of P).

    The sign is that of Σ a_k.
    """
    pattern = np.float32([[0, 1, 2, 9], [5, 1, 0, 6]])
    maps = np.stack([first * pattern + 7, second * pattern - 2])
    network = PolynomialNetwork(np.ones((1, 2, 2, 4)))
    heat = visualize_pd.eigen_cam(network, paddle.to_tensor(maps[None]), 0)
    close(heat.numpy()[0, 0], np.maximum(sign * 5 * (pattern - pattern.mean()), 0))


def test_only_eigen_grad_cam_depends_on_the_class():
    network, batch = random_network(), paddle.to_tensor(nonnegative_images())
    one, other = (visualize_pd.eigen_cam(network, batch, c).numpy() for c in (0, 1))
    np.testing.assert_array_equal(one, other)
    one, other = (visualize_pd.eigen_grad_cam(network, batch, c).numpy() for c in (0, 1))
    assert np.abs(one - other).max() > 0.1 * one.max()


@pytest.mark.parametrize("name", CAMS)
def test_zero_images_give_zero_maps(name):
    heat = CAMS[name](random_network(), paddle.zeros([2, 3, 4, 6]), 1).numpy()
    np.testing.assert_array_equal(heat, np.zeros((2, 1, 4, 6)))


@pytest.mark.parametrize("name", ["grad_cam", "grad_cam_pp", "xgrad_cam", "layer_cam"])
def test_zero_denominators_give_finite_maps(name):
    """The first channel has ΣA = 0, the second has 2 + ΣA · g = 0."""
    maps = np.float32([[[1, -1]], [[-2, 0]]])
    network = PolynomialNetwork(np.float32([[[[2, 1]], [[1, 3]]]]))
    assert np.isfinite(CAMS[name](network, paddle.to_tensor(maps[None]), 0).numpy()).all()


def test_grad_cam_pp_has_no_negative_weights():
    """The denominator 2g² + ΣA · g³ is 4 in the first channel and −4 in the second."""
    maps = np.float32([[[2, 0]], [[-3, -3]]])
    network = PolynomialNetwork(np.float32([[[[1, 0]], [[1, 0]]]]))
    heat = visualize_pd.grad_cam_pp(network, paddle.to_tensor(maps[None]), 0).numpy()
    np.testing.assert_allclose(heat, [[[[0.5, 0]]]], rtol=1e-6)


@pytest.mark.parametrize("name", ["grad_cam", "grad_cam_pp", "xgrad_cam", "layer_cam"])
def test_negative_contributions_become_zero(name):
    network = PolynomialNetwork(-np.ones((1, 3, 4, 6)))
    heat = CAMS[name](network, paddle.to_tensor(nonnegative_images()), 0).numpy()
    np.testing.assert_array_equal(heat, np.zeros((2, 1, 4, 6)))


@pytest.mark.parametrize("name", CAMS)
def test_top_class_is_explained_by_default(name):
    network, batch = random_network(bend=0.1), nonnegative_images(6)
    top = [int(network.logits(network.maps(image)).argmax()) for image in batch]
    assert len(set(top)) > 1
    heat = CAMS[name](network, paddle.to_tensor(batch)).numpy()
    np.testing.assert_array_equal(heat, CAMS[name](network, paddle.to_tensor(batch), top).numpy())
