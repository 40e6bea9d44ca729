"""The options that all CAMs share: eigen_smooth, aug_smooth, zooms, guided and score."""

import numpy as np
import paddle
import pytest
from cam_toys import (
    CAMS,
    PolynomialNetwork,
    ReluNetwork,
    divided_by_maximum,
    grad_cam_equation,
    identity_conv,
    layer_cam_equation,
    nonnegative_images,
    principal_component_equation,
    random_network,
    resized,
)
from paddle import nn
from toys import close, images, weights

import visualize_pd
from visualize_pd import VisualizeError


@pytest.mark.parametrize(
    ("name", "contributions"),
    [
        ("layer_cam", lambda maps, gradient: np.maximum(gradient, 0) * maps),
        ("grad_cam", lambda maps, gradient: gradient.mean((1, 2), keepdims=True) * maps),
    ],
)
def test_eigen_smooth_replaces_the_sum_by_the_principal_component(name, contributions):
    network, batch = random_network(), nonnegative_images()
    heat = CAMS[name](network, paddle.to_tensor(batch), 2, eigen_smooth=True).numpy()
    expected = [
        principal_component_equation(contributions(maps, network.gradient(maps, 2)))
        for maps in map(network.maps, batch)
    ]
    close(heat, np.maximum(expected, 0)[:, None])


def test_aug_smooth_is_the_average_over_six_views():
    network, batch = random_network(bend=0.3), nonnegative_images()
    heat = visualize_pd.layer_cam(network, paddle.to_tensor(batch), 1, aug_smooth=True).numpy()
    expected = []
    for image in batch:
        views = []
        for mirror in (1, -1):
            for factor in (1, 0.9, 1.1):
                maps = network.maps(image[:, :, ::mirror] * factor)
                view = divided_by_maximum(layer_cam_equation(maps, network.gradient(maps, 1)))
                views.append(view[:, ::mirror])
        expected.append(np.mean(views, axis=0))
    close(heat, np.stack(expected)[:, None])


def test_all_views_explain_the_class_of_the_unchanged_image():
    """The mirrored image alone would be of the other class."""
    w = np.zeros((2, 1, 2, 4), dtype="float32")
    w[0, :, :, :2] = w[1, :, :, 3:] = 1
    batch = paddle.to_tensor(np.float32([[[[9, 4, 1, 0], [7, 2, 2, 1]]]]))
    heat = visualize_pd.layer_cam(PolynomialNetwork(w), batch, aug_smooth=True).numpy()
    first, second = (
        visualize_pd.layer_cam(PolynomialNetwork(w), batch, c, aug_smooth=True).numpy()
        for c in (0, 1)
    )
    np.testing.assert_array_equal(heat, first)
    assert np.abs(heat - second).max() > 0.1


class Pooled(nn.Layer):
    """S_c = Σ_k mean(u_ck · A_k + ½ w_ck · A_k²) for images of any size. A is the image itself."""

    def __init__(self):
        super().__init__()
        random = np.random.default_rng(5)
        self.u, self.w = (random.standard_normal((2, 3)).astype("float32") for _ in "uw")
        self.conv = identity_conv(3)

    def forward(self, batch):
        maps = self.conv(batch)
        first = paddle.matmul(maps.mean([2, 3]), paddle.to_tensor(self.u.T))
        return first + paddle.matmul((maps * maps).mean([2, 3]), paddle.to_tensor(self.w.T)) / 2

    def heat(self, maps, target):
        gradient = self.u[target][:, None, None] + self.w[target][:, None, None] * maps
        return np.maximum(grad_cam_equation(maps, gradient / maps[0].size), 0)


@pytest.mark.parametrize(
    ("zooms", "sizes"),
    [
        ((0.5,), [(6, 10), (3, 5)]),
        (1.5, [(6, 10), (9, 15)]),
        ([0.25, 2], [(6, 10), (2, 2), (12, 20)]),
        ((1.0,), [(6, 10), (6, 10)]),
    ],
)
def test_zooms_add_views_at_other_sizes(zooms, sizes):
    network, batch = Pooled(), nonnegative_images(height=6, width=10, seed=4)
    heat = visualize_pd.grad_cam(network, paddle.to_tensor(batch), [0, 1], zooms=zooms).numpy()
    expected = []
    for image, target in zip(batch, (0, 1)):
        views = []
        for size in sizes:
            maps = np.stack([resized(channel, *size) for channel in image])
            views.append(resized(divided_by_maximum(network.heat(maps, target)), 6, 10))
        expected.append(np.mean(views, axis=0))
    close(heat, np.stack(expected)[:, None])


def test_zooms_and_aug_smooth_give_every_combination():
    network, batch = Pooled(), nonnegative_images(1, height=6, width=10, seed=4)
    heat = visualize_pd.grad_cam(
        network, paddle.to_tensor(batch), 1, zooms=[0.5], aug_smooth=True
    ).numpy()
    views = []
    for height, width in ((6, 10), (3, 5)):
        for mirror in (1, -1):
            for factor in (1, 0.9, 1.1):
                image = batch[0, :, :, ::mirror] * factor
                maps = np.stack([resized(channel, height, width) for channel in image])
                view = resized(divided_by_maximum(network.heat(maps, 1)), 6, 10)
                views.append(view[:, ::mirror])
    close(heat[0, 0], np.mean(views, axis=0))


@pytest.mark.parametrize(
    "zooms", [0, [-1], [float("nan")], [float("inf")], "half", [True], [9], None]
)
def test_wrong_zooms(zooms):
    with pytest.raises(VisualizeError, match="zooms"):
        visualize_pd.grad_cam(Pooled(), paddle.to_tensor(nonnegative_images()), 0, zooms=zooms)


@pytest.mark.parametrize("batch", [images(2, 4, 6), images(2, 4, 6, seed=2)])
def test_guided_grad_cam_by_hand(batch):
    """With a single ReLU, guided backprop is ReLU(w) where the image is over 0, and 0 elsewhere."""
    w, targets = weights(3, 4, 6), [2, 1]
    network, values = ReluNetwork(w), batch.numpy()
    guided = np.maximum(w[targets], 0) * (values > 0)
    heats = []
    for image, target in zip(np.maximum(values, 0), targets):
        heats.append(np.maximum(grad_cam_equation(image.astype("float64"), w[target]), 0))
    expected = np.stack(heats)[:, None] * guided
    close(visualize_pd.grad_cam(network, batch, targets, guided=True).numpy(), expected)
    close(visualize_pd.guided_grad_cam(network, batch, targets).numpy(), expected)


@pytest.mark.parametrize("name", CAMS)
def test_guided_multiplies_every_map_by_guided_backprop(name):
    network, batch = ReluNetwork(weights(3, 4, 6)), images(2, 4, 6)
    guided = visualize_pd.guided_backprop(network, batch, 1).numpy()
    expected = CAMS[name](network, batch, 1).numpy() * guided
    close(CAMS[name](network, batch, 1, guided=True).numpy(), expected, 1e-6)


def test_guided_grad_cam_uses_its_options_and_the_top_class():
    network, batch = ReluNetwork(weights(3, 4, 6)), images(2, 4, 6)
    top = network(batch).numpy().argmax(1).tolist()
    options = {"target_layer": "conv", "score": "log_probability"}
    heat = visualize_pd.grad_cam(network, batch, top, **options).numpy()
    guided = visualize_pd.input_gradient(
        network, batch, top, score="log_probability", relu="guided"
    ).numpy()
    close(visualize_pd.guided_grad_cam(network, batch, **options).numpy(), heat * guided, 1e-6)


@pytest.mark.parametrize("name", ["grad_cam", "score_cam"])
@pytest.mark.parametrize("options", [{}, {"aug_smooth": True}, {"zooms": [0.5]}, {"guided": True}])
@pytest.mark.parametrize("shape", [(3, 4, 6), (4, 6)])
def test_images_must_be_a_batch(name, options, shape):
    with pytest.raises(VisualizeError, match="N, C, H, W"):
        CAMS[name](ReluNetwork(weights(3, 4, 6)), paddle.zeros(shape), 0, **options)


@pytest.mark.parametrize("name", CAMS)
def test_unknown_score(name):
    with pytest.raises(VisualizeError, match="score 'loss'"):
        CAMS[name](random_network(), paddle.to_tensor(nonnegative_images()), 0, score="loss")
