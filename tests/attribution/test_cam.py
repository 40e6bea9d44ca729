"""Class activation maps against the papers' sums, written out place by place."""

import numpy as np
import paddle
import pytest
from paddle import nn
from paddle.nn import functional
from toys import Linear, close, images, weights

import visualize_pd
from visualize_pd import VisualizeError
from visualize_pd.network.feature_maps import last_feature_maps
from visualize_pd.network.gradients import record_forward

CAMS = {
    name: getattr(visualize_pd, name)
    for name in (
        "grad_cam",
        "grad_cam_pp",
        "xgrad_cam",
        "layer_cam",
        "eigen_cam",
        "eigen_grad_cam",
        "score_cam",
        "ablation_cam",
    )
}


def identity(channels, stride=1):
    """A convolution whose maps are its input, or every second pixel of it."""
    conv = nn.Conv2D(channels, channels, 1, stride=stride, bias_attr=False)
    conv.weight.set_value(np.eye(channels, dtype="float32")[:, :, None, None])
    return conv


class Toy(nn.Layer):
    """A = I, or every second pixel of it; S_c = z + bend · z² with z = Σ w_c · A + ½ Σ v_c · A²."""

    def __init__(self, w, v=None, bend=0.0, stride=1):
        super().__init__()
        self.w = np.asarray(w, dtype="float32")
        self.v = np.zeros_like(self.w) if v is None else np.asarray(v, dtype="float32")
        self.bend, self.stride = bend, stride
        self.conv = identity(self.w.shape[1], stride)

    def forward(self, batch):
        maps = self.conv(batch)
        z = paddle.einsum("nkhw,ckhw->nc", maps, paddle.to_tensor(self.w))
        z = z + paddle.einsum("nkhw,ckhw->nc", maps * maps, paddle.to_tensor(self.v)) / 2
        return z + self.bend * z * z

    def maps(self, image):
        return image[:, :: self.stride, :: self.stride].astype("float64")

    def logits(self, maps):
        z = (self.w * maps + self.v * maps**2 / 2).sum((1, 2, 3))
        return z + self.bend * z**2

    def slope(self, maps, target):
        z = (self.w * maps + self.v * maps**2 / 2).sum((1, 2, 3))[target]
        return (1 + 2 * self.bend * z) * (self.w[target] + self.v[target] * maps)


def scored(logits, target, score):
    shares = np.exp(logits - logits.max())
    probability = (shares / shares.sum())[target]
    return {
        "logit": logits[target],
        "probability": probability,
        "log_probability": np.log(probability),
    }[score]


def toy(classes=3, channels=3, height=4, width=6, seed=0, **options):
    random = np.random.default_rng(seed)
    shape = (classes, channels, height, width)
    return Toy(random.standard_normal(shape) / 4, random.standard_normal(shape) / 8, **options)


def rectified(count=2, channels=3, height=4, width=6, seed=1):
    """Images like maps after a ReLU, the second channel dead."""
    values = np.random.default_rng(seed).standard_normal((count, channels, height, width))
    values[:, 1] = 0
    return np.maximum(values, 0).astype("float32")


def enlarged(plane, height, width):
    """Bilinear, pixel centres at halves."""
    result = np.zeros((height, width))
    for y in range(height):
        for x in range(width):
            value, places = 0.0, []
            for i, length, old in ((y, height, plane.shape[0]), (x, width, plane.shape[1])):
                at = max(0.0, (i + 0.5) * old / length - 0.5)
                low = int(at)
                places.append(((low, 1 - (at - low)), (min(low + 1, old - 1), at - low)))
            for row, down in places[0]:
                for column, across in places[1]:
                    value += down * across * plane[row, column]
            result[y, x] = value
    return result


def grad_cam_sum(maps, slope):
    return sum(slope[k].sum() / slope[k].size * maps[k] for k in range(len(maps)))


def grad_cam_pp_sum(maps, slope):
    total = np.zeros(maps.shape[1:])
    for a, g in zip(maps, slope):
        weight = 0.0
        for place in np.ndindex(a.shape):
            if g[place] > 0:
                alpha = g[place] ** 2 / (2 * g[place] ** 2 + a.sum() * g[place] ** 3)
                weight += alpha * g[place]
        total += weight * a
    return total


def xgrad_cam_sum(maps, slope):
    total = np.zeros(maps.shape[1:])
    for a, g in zip(maps, slope):
        if a.any():
            total += sum(a[place] / a.sum() * g[place] for place in np.ndindex(a.shape)) * a
    return total


def layer_cam_sum(maps, slope):
    total = np.zeros(maps.shape[1:])
    for a, g in zip(maps, slope):
        for place in np.ndindex(a.shape):
            total[place] += max(g[place], 0) * a[place]
    return total


def principal_sum(contributions):
    """Centred, times the strongest eigenvector of the channels' covariance."""
    table = contributions.reshape(len(contributions), -1).T
    centred = table - table.mean(0)
    _, vectors = np.linalg.eigh(centred.T @ centred)
    along = centred @ vectors[:, -1]
    sign = -1 if along @ centred.sum(1) < 0 else 1
    return sign * along.reshape(contributions.shape[1:])


SUMS = {
    "grad_cam": grad_cam_sum,
    "grad_cam_pp": grad_cam_pp_sum,
    "xgrad_cam": xgrad_cam_sum,
    "layer_cam": layer_cam_sum,
    "eigen_cam": lambda maps, slope: principal_sum(maps),
    "eigen_grad_cam": lambda maps, slope: principal_sum(maps * slope),
}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # The weights of the two channels are the means 1 and −1.
        ("grad_cam", [2, 3 - 1, 0]),
        # 2 · 4/(8 + 5·8) twice is ⅓, 2 · 4/(8 + 4·8) once is ⅕.
        ("grad_cam_pp", [2 / 3, 1 + 1 / 5, 3 / 5]),
        # (2·2 − 3·1)/5 is ⅕, (1·2 − 3·1)/4 is −¼; the last place is −¾.
        ("xgrad_cam", [2 / 5, 3 / 5 - 1 / 4, 0]),
        ("layer_cam", [4, 2, 0]),
    ],
)
def test_three_places_by_hand(name, expected):
    """Two channels and a dead one, one row; negative gradients among them."""
    maps = np.float32([[[2, 3, 0]], [[0, 1, 3]], [[0, 0, 0]]])
    slopes = np.float32([[[[2, -1, 2]], [[-4, 2, -1]], [[5, 5, 5]]]])
    heat = CAMS[name](Toy(slopes), paddle.to_tensor(maps[None]), 0).numpy()
    np.testing.assert_allclose(heat, np.reshape(expected, (1, 1, 1, 3)), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", SUMS)
def test_sums_of_the_paper_on_a_map_of_the_images_size(name):
    network, batch, targets = toy(bend=0.3), rectified(), [2, 0]
    heat = CAMS[name](network, paddle.to_tensor(batch), targets).numpy()
    expected = [
        SUMS[name](network.maps(image), network.slope(network.maps(image), target))
        for image, target in zip(batch, targets)
    ]
    close(heat, np.maximum(expected, 0)[:, None])


@pytest.mark.parametrize("name", SUMS)
@pytest.mark.parametrize(("height", "width"), [(8, 12), (7, 12), (8, 11)])
def test_small_maps_are_rectified_and_then_enlarged(name, height, width):
    network, batch = toy(stride=2), rectified(height=height, width=width, seed=6)
    heat = CAMS[name](network, paddle.to_tensor(batch), 1).numpy()
    expected = [
        enlarged(np.maximum(SUMS[name](maps, network.slope(maps, 1)), 0), height, width)
        for maps in map(network.maps, batch)
    ]
    close(heat, np.stack(expected)[:, None])


@pytest.mark.parametrize("score", ["logit", "probability", "log_probability"])
def test_gradients_are_those_of_the_score(score):
    network, batch = toy(), rectified(1)
    heat = visualize_pd.layer_cam(network, paddle.to_tensor(batch), 1, score=score).numpy()
    maps = network.maps(batch[0])
    slopes = np.stack([network.slope(maps, target) for target in range(3)])
    shares = np.exp(network.logits(maps))
    shares /= shares.sum()
    of_log = slopes[1] - sum(share * slope for share, slope in zip(shares, slopes))
    of_score = {"logit": slopes[1], "probability": shares[1] * of_log, "log_probability": of_log}
    close(heat[0, 0], layer_cam_sum(maps, of_score[score]))


@pytest.mark.parametrize(("first", "second", "sign"), [(4, -3, 1), (3, -4, -1)])
def test_eigen_cam_of_one_pattern_points_where_the_features_are_strong(first, second, sign):
    """A_k = a_k · P + b_k: along the component it is ±|a| · (P − mean)."""
    pattern = np.float32([[0, 1, 2, 9], [5, 1, 0, 6]])
    maps = np.stack([first * pattern + 7, second * pattern - 2])
    heat = visualize_pd.eigen_cam(Toy(np.ones((1, 2, 2, 4))), paddle.to_tensor(maps[None]), 0)
    close(heat.numpy()[0, 0], np.maximum(sign * 5 * (pattern - pattern.mean()), 0))


def test_eigen_cam_knows_no_class_and_eigen_grad_cam_does():
    network, batch = toy(), paddle.to_tensor(rectified())
    one, other = (visualize_pd.eigen_cam(network, batch, c).numpy() for c in (0, 1))
    np.testing.assert_array_equal(one, other)
    one, other = (visualize_pd.eigen_grad_cam(network, batch, c).numpy() for c in (0, 1))
    assert np.abs(one - other).max() > 0.1 * one.max()


@pytest.mark.parametrize(
    ("name", "contributions"),
    [
        ("layer_cam", lambda maps, slope: np.maximum(slope, 0) * maps),
        ("grad_cam", lambda maps, slope: slope.mean((1, 2), keepdims=True) * maps),
    ],
)
def test_eigen_smooth_takes_the_first_component_in_place_of_the_sum(name, contributions):
    network, batch = toy(), rectified()
    heat = CAMS[name](network, paddle.to_tensor(batch), 2, eigen_smooth=True).numpy()
    expected = [
        principal_sum(contributions(maps, network.slope(maps, 2)))
        for maps in map(network.maps, batch)
    ]
    close(heat, np.maximum(expected, 0)[:, None])


@pytest.mark.parametrize("score", ["logit", "probability", "log_probability"])
@pytest.mark.parametrize("batch_size", [1, 2, 16])
def test_score_cam_is_a_loop_over_masked_images(score, batch_size):
    """The fourth channel is the same everywhere, the second dead: both hide the image."""
    network = toy(channels=5, bend=0.2, stride=2)
    batch, targets = rectified(channels=5, height=8, width=12), [2, 0]
    batch[:, 3] = 1.5
    heat = visualize_pd.score_cam(
        network, paddle.to_tensor(batch), targets, score=score, batch_size=batch_size
    ).numpy()
    expected = []
    for image, target in zip(batch, targets):
        maps, scores = network.maps(image), []
        for channel in maps:
            mask = enlarged(channel, 8, 12)
            spread = mask.max() - mask.min()
            mask = (mask - mask.min()) / spread if spread else np.zeros_like(mask)
            scores.append(scored(network.logits(network.maps(image * mask)), target, score))
        alpha = np.exp(scores) / np.exp(scores).sum()
        small = np.maximum((alpha[:, None, None] * maps).sum(0), 0)
        expected.append(enlarged(small, 8, 12))
    close(heat, np.stack(expected)[:, None])


def test_score_cam_of_huge_scores_stays_finite():
    batch = rectified(1)
    heat = visualize_pd.score_cam(Toy(np.full((1, 3, 4, 6), 1e4)), paddle.to_tensor(batch), 0)
    assert np.isfinite(heat.numpy()).all() and heat.max() > 0


@pytest.mark.parametrize("score", ["logit", "probability", "log_probability"])
@pytest.mark.parametrize("batch_size", [1, 3, 16])
def test_ablation_cam_is_a_loop_over_left_out_channels(score, batch_size):
    network = toy(channels=5, bend=-0.2)
    batch, targets = rectified(channels=5), [2, 0]
    heat = visualize_pd.ablation_cam(
        network, paddle.to_tensor(batch), targets, score=score, batch_size=batch_size
    ).numpy()
    expected, wholes = [], []
    for image, target in zip(batch, targets):
        maps, total = network.maps(image), 0.0
        wholes.append(scored(network.logits(maps), target, score))
        for k in range(len(maps)):
            without = maps.copy()
            without[k] = 0
            drop = wholes[-1] - scored(network.logits(without), target, score)
            total = total + drop / abs(wholes[-1]) * maps[k]
        expected.append(np.maximum(total, 0))
    close(heat, np.stack(expected)[:, None])
    assert score == "probability" or min(wholes) < 0  # what a missing |…| would turn around


class Shortcut(Toy):
    """S = Σ w · A · (2 + I): the score meets the image again behind the maps."""

    def forward(self, batch):
        maps = self.conv(batch) * (2 + batch)
        return paddle.einsum("nkhw,ckhw->nc", maps, paddle.to_tensor(self.w))


def test_ablation_cam_keeps_each_image_that_the_score_meets_again():
    network, batch = Shortcut(weights(3, 4, 6) + 0.5), rectified()
    heat = visualize_pd.ablation_cam(network, paddle.to_tensor(batch), 1).numpy()
    expected = []
    for image in batch.astype("float64"):
        shares = (network.w[1] * image * (2 + image)).sum((1, 2), keepdims=True)
        expected.append(np.maximum((shares / abs(shares.sum()) * image).sum(0), 0))
        assert expected[-1].max() > 0.5
    close(heat, np.stack(expected)[:, None])


def test_ablation_cam_of_a_score_of_zero_is_the_plain_drop():
    """S = 1·A₁ − 1·A₂ with equal sums: the drops are 3 and −3."""
    batch = np.float32([[[[1, 2]], [[3, 0]]]])
    network = Toy(np.float32([[[[1, 1]], [[-1, -1]]]]))
    heat = visualize_pd.ablation_cam(network, paddle.to_tensor(batch), 0).numpy()
    np.testing.assert_allclose(heat, [[[[0, 6]]]], rtol=1e-6)


@pytest.mark.parametrize("name", CAMS)
def test_zero_maps_and_zero_scores_give_zeros(name):
    heat = CAMS[name](toy(), paddle.zeros([2, 3, 4, 6]), 1).numpy()
    np.testing.assert_array_equal(heat, np.zeros((2, 1, 4, 6)))


@pytest.mark.parametrize("name", ["grad_cam", "grad_cam_pp", "xgrad_cam", "layer_cam"])
def test_maps_that_cancel_stay_finite(name):
    """ΣA = 0 in the first channel; the second has 2 + ΣA · g = 0."""
    maps = np.float32([[[1, -1]], [[-2, 0]]])
    network = Toy(np.float32([[[[2, 1]], [[1, 3]]]]))
    assert np.isfinite(CAMS[name](network, paddle.to_tensor(maps[None]), 0).numpy()).all()


def test_grad_cam_pp_gives_no_channel_a_negative_weight():
    """2g² + ΣA · g³ is 4 in the first channel and −4 in the second."""
    maps = np.float32([[[2, 0]], [[-3, -3]]])
    network = Toy(np.float32([[[[1, 0]], [[1, 0]]]]))
    heat = visualize_pd.grad_cam_pp(network, paddle.to_tensor(maps[None]), 0).numpy()
    np.testing.assert_allclose(heat, [[[[0.5, 0]]]], rtol=1e-6)


@pytest.mark.parametrize("name", ["grad_cam", "grad_cam_pp", "xgrad_cam", "layer_cam"])
def test_what_speaks_against_a_class_is_cut_off(name):
    network = Toy(-np.ones((1, 3, 4, 6)))
    heat = CAMS[name](network, paddle.to_tensor(rectified()), 0).numpy()
    np.testing.assert_array_equal(heat, np.zeros((2, 1, 4, 6)))


@pytest.mark.parametrize("name", CAMS)
def test_top_class_is_explained_by_default(name):
    network, batch = toy(bend=0.1), rectified(6)
    top = [int(network.logits(network.maps(image)).argmax()) for image in batch]
    assert len(set(top)) > 1
    heat = CAMS[name](network, paddle.to_tensor(batch)).numpy()
    np.testing.assert_array_equal(heat, CAMS[name](network, paddle.to_tensor(batch), top).numpy())


def scaled(plane):
    return plane / plane.max() if plane.max() > 0 else plane


def test_aug_smooth_is_the_average_over_six_views():
    network, batch = toy(bend=0.3), rectified()
    heat = visualize_pd.layer_cam(network, paddle.to_tensor(batch), 1, aug_smooth=True).numpy()
    expected = []
    for image in batch:
        views = []
        for mirror in (1, -1):
            for factor in (1, 0.9, 1.1):
                maps = network.maps(image[:, :, ::mirror] * factor)
                views.append(scaled(layer_cam_sum(maps, network.slope(maps, 1)))[:, ::mirror])
        expected.append(np.mean(views, axis=0))
    close(heat, np.stack(expected)[:, None])


def test_views_explain_the_class_of_the_plain_image():
    """Mirrored, the image would be of the other class."""
    w = np.zeros((2, 1, 2, 4), dtype="float32")
    w[0, :, :, :2] = w[1, :, :, 3:] = 1
    batch = paddle.to_tensor(np.float32([[[[9, 4, 1, 0], [7, 2, 2, 1]]]]))
    heat = visualize_pd.layer_cam(Toy(w), batch, aug_smooth=True).numpy()
    first, second = (
        visualize_pd.layer_cam(Toy(w), batch, c, aug_smooth=True).numpy() for c in (0, 1)
    )
    np.testing.assert_array_equal(heat, first)
    assert np.abs(heat - second).max() > 0.1


class Pooled(nn.Layer):
    """Of any size: S_c = Σ_k mean(u_ck · A_k + ½ w_ck · A_k²)."""

    def __init__(self):
        super().__init__()
        random = np.random.default_rng(5)
        self.u, self.w = (random.standard_normal((2, 3)).astype("float32") for _ in "uw")
        self.conv = identity(3)

    def forward(self, batch):
        maps = self.conv(batch)
        first = paddle.matmul(maps.mean([2, 3]), paddle.to_tensor(self.u.T))
        return first + paddle.matmul((maps * maps).mean([2, 3]), paddle.to_tensor(self.w.T)) / 2

    def heat(self, maps, target):
        slope = self.u[target][:, None, None] + self.w[target][:, None, None] * maps
        return np.maximum(grad_cam_sum(maps, slope / maps[0].size), 0)


@pytest.mark.parametrize(
    ("zooms", "sizes"),
    [
        ((0.5,), [(6, 10), (3, 5)]),
        (1.5, [(6, 10), (9, 15)]),
        ([0.25, 2], [(6, 10), (2, 2), (12, 20)]),
        ((1.0,), [(6, 10), (6, 10)]),
    ],
)
def test_zooms_are_further_views_at_other_sizes(zooms, sizes):
    network, batch = Pooled(), rectified(height=6, width=10, seed=4)
    heat = visualize_pd.grad_cam(network, paddle.to_tensor(batch), [0, 1], zooms=zooms).numpy()
    expected = []
    for image, target in zip(batch, (0, 1)):
        views = []
        for size in sizes:
            maps = np.stack([enlarged(channel, *size) for channel in image])
            views.append(enlarged(scaled(network.heat(maps, target)), 6, 10))
        expected.append(np.mean(views, axis=0))
    close(heat, np.stack(expected)[:, None])


def test_zooms_and_aug_smooth_together_are_every_combination():
    network, batch = Pooled(), rectified(1, height=6, width=10, seed=4)
    heat = visualize_pd.grad_cam(
        network, paddle.to_tensor(batch), 1, zooms=[0.5], aug_smooth=True
    ).numpy()
    views = []
    for height, width in ((6, 10), (3, 5)):
        for mirror in (1, -1):
            for factor in (1, 0.9, 1.1):
                seen = batch[0, :, :, ::mirror] * factor
                maps = np.stack([enlarged(channel, height, width) for channel in seen])
                views.append(enlarged(scaled(network.heat(maps, 1)), 6, 10)[:, ::mirror])
    close(heat[0, 0], np.mean(views, axis=0))


@pytest.mark.parametrize(
    "zooms", [0, [-1], [float("nan")], [float("inf")], "half", [True], [9], None]
)
def test_wrong_zooms_are_named(zooms):
    with pytest.raises(VisualizeError, match="zooms"):
        visualize_pd.grad_cam(Pooled(), paddle.to_tensor(rectified()), 0, zooms=zooms)


class Rectifying(nn.Layer):
    """conv → ReLU → Σ w · A, and layers of other kinds beside."""

    def __init__(self, w):
        super().__init__()
        self.w = np.asarray(w, dtype="float32")
        self.conv, self.relu = identity(self.w.shape[1]), nn.ReLU()
        self.unused = nn.Conv2D(3, 3, 1)
        self.flatten, self.pair = nn.Flatten(), Pair()

    def forward(self, batch):
        maps = self.pair(self.relu(self.conv(batch)))[0]
        return paddle.matmul(
            self.flatten(maps), paddle.to_tensor(self.w.reshape(len(self.w), -1).T)
        )


class Pair(nn.Layer):
    def forward(self, maps):
        return maps, maps * 2


@pytest.mark.parametrize("batch", [images(2, 4, 6), images(2, 4, 6, seed=2)])
def test_guided_multiplies_by_guided_backprop(batch):
    """Behind a ReLU alone guided backprop is ReLU(w) where the image is over 0."""
    w, targets = weights(3, 4, 6), [2, 1]
    network, values = Rectifying(w), batch.numpy()
    guided = np.maximum(w[targets], 0) * (values > 0)
    heats = []
    for image, target in zip(np.maximum(values, 0), targets):
        heats.append(np.maximum(grad_cam_sum(image.astype("float64"), w[target]), 0))
    expected = np.stack(heats)[:, None] * guided
    close(visualize_pd.grad_cam(network, batch, targets, guided=True).numpy(), expected)
    close(visualize_pd.guided_grad_cam(network, batch, targets).numpy(), expected)


@pytest.mark.parametrize("name", CAMS)
def test_guided_is_the_map_times_guided_backprop(name):
    network, batch = Rectifying(weights(3, 4, 6)), images(2, 4, 6)
    guided = visualize_pd.guided_backprop(network, batch, 1).numpy()
    expected = CAMS[name](network, batch, 1).numpy() * guided
    close(CAMS[name](network, batch, 1, guided=True).numpy(), expected, 1e-6)


def test_guided_grad_cam_passes_its_options_on_and_explains_the_top_class():
    network, batch = Rectifying(weights(3, 4, 6)), images(2, 4, 6)
    top = network(batch).numpy().argmax(1).tolist()
    options = {"target_layer": "conv", "score": "log_probability"}
    heat = visualize_pd.grad_cam(network, batch, top, **options).numpy()
    slope = visualize_pd.input_gradient(
        network, batch, top, score="log_probability", relu="guided"
    ).numpy()
    close(visualize_pd.guided_grad_cam(network, batch, **options).numpy(), heat * slope, 1e-6)


class Two(nn.Layer):
    """Maps of the image's size, and every second place of them, which the score looks at."""

    def __init__(self, w):
        super().__init__()
        self.first, self.second = identity(w.shape[1]), identity(w.shape[1], stride=2)
        self.w = w

    def forward(self, batch):
        maps = self.second(self.first(batch))
        return paddle.einsum("nkhw,ckhw->nc", maps, paddle.to_tensor(self.w))


@pytest.mark.parametrize("names", [["first", "second"], ("second", "first")])
def test_several_layers_count_alike(names):
    w, batch = weights(2, 3, 5), rectified(2, 3, 6, 10)
    heat = visualize_pd.layer_cam(Two(w), paddle.to_tensor(batch), 1, target_layer=names).numpy()
    expected = []
    for image in batch:
        slope = np.zeros(image.shape)
        slope[:, ::2, ::2] = w[1]
        large = layer_cam_sum(image, slope)
        small = enlarged(layer_cam_sum(image[:, ::2, ::2], w[1]), 6, 10)
        expected.append((scaled(large) + scaled(small)) / 2)
    close(heat, np.stack(expected)[:, None])


def test_one_output_under_two_names_counts_twice():
    network = Two(weights(2, 3, 5))
    network.second = paddle.nn.Sequential(network.second)  # returns what its only layer returns
    batch = paddle.to_tensor(rectified(2, 3, 6, 10))
    once, twice = (
        visualize_pd.layer_cam(network, batch, 1, target_layer=names).numpy()
        for names in (["second"], ["second", "second.0"])
    )
    close(twice, once / once.max((1, 2, 3), keepdims=True))


def test_one_layer_by_its_name():
    w, batch = weights(2, 3, 5), rectified(1, 3, 6, 10)
    for names in ("first", ["first"]):
        heat = visualize_pd.layer_cam(Two(w), paddle.to_tensor(batch), 0, target_layer=names)
        slope = np.zeros(batch.shape[1:])
        slope[:, ::2, ::2] = w[0]
        close(heat.numpy()[0, 0], layer_cam_sum(batch[0], slope))


@pytest.mark.parametrize("name", CAMS)
@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("cnov", "'cnov'.*'conv'"),
        (["conv", "rleu"], "'rleu'.*'relu'"),
        ("unused", "never calls.*'unused'"),
        ("flatten", "'flatten'.*feature maps"),
        ("pair", "'pair'.*feature maps"),
        ([], "no layer"),
    ],
)
def test_layers_without_maps_are_named(name, layer, message):
    with pytest.raises(VisualizeError, match=message):
        CAMS[name](Rectifying(weights(3, 4, 6)), images(2, 4, 6), 0, target_layer=layer)


def test_layers_are_asked_for_by_name():
    with pytest.raises(VisualizeError, match="layer '3'"):
        visualize_pd.grad_cam(Rectifying(weights(3, 4, 6)), images(2, 4, 6), 0, target_layer=3)


@pytest.mark.parametrize("name", ["grad_cam", "score_cam"])
@pytest.mark.parametrize("options", [{}, {"aug_smooth": True}, {"zooms": [0.5]}, {"guided": True}])
@pytest.mark.parametrize("shape", [(3, 4, 6), (4, 6)])
def test_images_must_be_a_batch(name, options, shape):
    with pytest.raises(VisualizeError, match="N, C, H, W"):
        CAMS[name](Rectifying(weights(3, 4, 6)), paddle.zeros(shape), 0, **options)


@pytest.mark.parametrize("name", ["score_cam", "ablation_cam"])
def test_batch_size_must_be_a_number_of_images(name):
    for wrong in (0, -1, 1.5, "all", None, True):
        with pytest.raises(VisualizeError, match="batch_size"):
            CAMS[name](toy(), paddle.to_tensor(rectified()), 0, batch_size=wrong)


@pytest.mark.parametrize("name", CAMS)
def test_unknown_score_is_named(name):
    with pytest.raises(VisualizeError, match="score 'loss'"):
        CAMS[name](toy(), paddle.to_tensor(rectified()), 0, score="loss")


@pytest.mark.parametrize("method", [*CAMS.values(), visualize_pd.guided_grad_cam])
def test_network_without_feature_maps_is_refused(method):
    with pytest.raises(VisualizeError, match="feature maps"):
        method(Linear(weights()), images(), 0)


def shared_relu(relu):
    """The ReLU after the last convolution runs before it, and again between the linear layers."""
    paddle.seed(2)
    convs, pool = [nn.Conv2D(3, 4, 3), nn.Conv2D(4, 4, 1)], nn.AdaptiveAvgPool2D(1)
    first, last = nn.Linear(4, 4), nn.Linear(4, 3)
    maps = [convs[0], relu[0], convs[1], relu[1]]
    return nn.Sequential(*maps, pool, nn.Flatten(), first, relu[2], last)


@pytest.mark.parametrize("name", CAMS)
def test_layer_that_runs_again_behind_its_maps(name):
    relu, batch = nn.ReLU(), images(2, 9, 7)
    expected = CAMS[name](shared_relu([nn.ReLU() for _ in range(3)]), batch, 1).numpy()
    close(CAMS[name](shared_relu([relu] * 3), batch, 1).numpy(), expected, 1e-6)


class Auxiliary(nn.Layer):
    """The auxiliary head runs last; its convolution's maps are as large as the main ones."""

    def __init__(self, relu=None, with_head=True):
        super().__init__()
        paddle.seed(4)
        self.conv, self.relu, self.fc = nn.Conv2D(3, 4, 3), nn.ReLU(), nn.Linear(4, 3)
        self.conv2, self.fc2 = nn.Conv2D(4, 4, 1), nn.Linear(4, 3)
        self.relu2 = nn.ReLU() if relu is None else self.relu
        self.with_head = with_head

    def forward(self, batch):
        maps = self.relu(self.conv(batch))
        logits = self.fc(maps.mean([2, 3]))
        if not self.with_head:
            return logits
        return logits, self.fc2(self.relu2(self.conv2(maps)).mean([2, 3]))


@pytest.mark.parametrize("name", CAMS)
@pytest.mark.parametrize("relu", [None, "shared"])
def test_auxiliary_head_changes_nothing(name, relu):
    batch = images(2, 9, 7)
    expected = CAMS[name](Auxiliary(with_head=False), batch, 1).numpy()
    close(CAMS[name](Auxiliary(relu), batch, 1).numpy(), expected, 1e-6)


class Block(nn.Layer):
    """A shortcut and a ReLU that no layer of its own does."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2D(4, 4, 3, padding=1)

    def forward(self, maps):
        return functional.relu(self.conv(maps) + maps)


class Excitation(nn.Layer):
    """Channels weighed by convolutions of 1 × 1 places, which run last."""

    def __init__(self):
        super().__init__()
        self.down, self.up = nn.Conv2D(4, 2, 1), nn.Conv2D(2, 4, 1)
        self.pool, self.relu, self.gate = nn.AdaptiveAvgPool2D(1), nn.ReLU(), nn.Sigmoid()

    def forward(self, maps):
        return maps * self.gate(self.up(self.relu(self.down(self.pool(maps)))))


class Dense(nn.Layer):
    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2D(4, 2, 3, padding=1), nn.BatchNorm2D(6)
        self.relu, self.fc = nn.ReLU(), nn.Linear(6, 3)

    def forward(self, maps):
        maps = paddle.concat([maps, self.conv(maps)], axis=1)
        return self.fc(self.relu(self.norm(maps)).mean([2, 3]))


class Functional(nn.Layer):
    """A convolution that is no Conv2D."""

    def __init__(self):
        super().__init__()
        self.weight = self.create_parameter([4, 3, 3, 3])

    def forward(self, batch):
        return functional.conv2d(batch, self.weight)


def default_networks():
    conv, relu = nn.Conv2D(3, 4, 3), nn.ReLU()
    head = [nn.AdaptiveAvgPool2D(1), nn.Flatten(), nn.Linear(4, 3)]
    pooled = [nn.MaxPool2D(2), nn.Flatten(), nn.Linear(4 * 3 * 2, 3)]
    classes = nn.Conv2D(4, 3, 1)
    return {
        "pooling": (nn.Sequential(conv, relu, *pooled), "1", [4, 7, 5]),
        "norm": (nn.Sequential(conv, nn.BatchNorm2D(4), *head), "1", [4, 7, 5]),
        "two": (nn.Sequential(conv, relu, nn.Conv2D(4, 4, 3), *head), "2", [4, 5, 3]),
        "shortcut": (nn.Sequential(conv, Block(), *head), "1", [4, 7, 5]),
        "reused": (nn.Sequential(conv, relu, nn.Conv2D(4, 4, 2), relu, *head), "1", [4, 6, 4]),
        "reused far behind": (shared_relu([relu] * 3), "1", [4, 7, 5]),
        "auxiliary": (Auxiliary(), "relu", [4, 7, 5]),
        "excitation": (nn.Sequential(conv, Excitation(), *head), "1", [4, 7, 5]),
        "dense": (nn.Sequential(conv, Dense()), "1.relu", [6, 7, 5]),
        "convolutional": (nn.Sequential(conv, relu, classes, head[0], head[1]), "2", [3, 7, 5]),
        "class convolution behind the pooling": (
            nn.Sequential(conv, relu, head[0], classes, head[1]),
            "1",
            [4, 7, 5],
        ),
        "upsampled": (
            nn.Sequential(conv, relu, nn.Upsample(scale_factor=2), *head),
            "1",
            [4, 7, 5],
        ),
        "functional": (nn.Sequential(Functional(), relu, *head), "1", [4, 7, 5]),
        "nested": (nn.Sequential(nn.Sequential(conv, relu), *head), "0", [4, 7, 5]),
        "one place": (
            nn.Sequential(nn.Conv2D(3, 4, [9, 7]), relu, head[1], head[2]),
            "1",
            [4, 1, 1],
        ),
    }


def chosen_layer(network, batch):
    passed = record_forward(network, batch, layers=network.sublayers())
    layer, maps, slope = last_feature_maps(passed.calls, passed.scores)
    assert slope.shape == maps.shape
    return next(name for name, known in network.named_sublayers() if known is layer), maps


@pytest.mark.parametrize("kind", default_networks())
def test_default_layer_is_the_last_convolutional_maps(kind):
    network, name, shape = default_networks()[kind]
    found, maps = chosen_layer(network, images(2, 9, 7))
    assert (found, list(maps.shape[1:])) == (name, shape)


class Aside(nn.Layer):
    """Two convolutions in a row, and after them one as large as the first, of no use."""

    def __init__(self, used=True):
        super().__init__()
        self.first = nn.Conv2D(3, 4, 3, padding=1)
        self.second = nn.Conv2D(4, 4, 3, stride=2, padding=1)
        self.aside, self.after = nn.Conv2D(3, 4, 3, padding=1), nn.ReLU()
        self.used = used

    def forward(self, images):
        maps = self.second(self.first(images))
        self.after(self.aside(images))
        return (maps if self.used else images).mean([2, 3])


def test_an_unused_convolution_is_passed_over():
    name, maps = chosen_layer(Aside(), paddle.randn([2, 3, 8, 8]))
    assert (name, maps.shape) == ("second", [2, 4, 4, 4])


def test_where_no_maps_are_used_the_last_ones_have_no_slope():
    network, batch = Aside(used=False), paddle.randn([2, 3, 8, 8])
    passed = record_forward(network, batch, layers=network.sublayers())
    layer, maps, slope = last_feature_maps(passed.calls, passed.scores)
    assert layer is network.after and maps.shape == slope.shape == [2, 4, 8, 8]
    assert float(slope.abs().max()) == 0
    assert float(CAMS["grad_cam"](network, batch, 1).max()) == 0


def test_default_maps_of_a_reused_layer_are_those_of_the_call_that_counts():
    network = shared_relu([nn.ReLU()] * 3)
    batch = images(1, 9, 7)
    network.eval()
    expected = network[:4](batch).numpy()
    np.testing.assert_array_equal(chosen_layer(network, batch)[1].numpy(), expected)


@pytest.mark.parametrize(
    ("name", "layer", "shape"),
    [
        ("alexnet", "_conv5.relu", [256, 13, 13]),
        ("resnet18", "layer4", [512, 7, 7]),
        ("googlenet", "_ince5b", [1024, 6, 6]),
        ("mobilenet_v3_small", "lastconv", [576, 7, 7]),
        ("shufflenet_v2_x0_25", "_last_conv", [512, 7, 7]),
    ],
)
def test_default_layer_of_known_networks(name, layer, shape):
    paddle.seed(1)
    network, batch = getattr(paddle.vision.models, name)(), images(1, 224, 224)
    network.eval()
    found, maps = chosen_layer(network, batch)
    assert (found, list(maps.shape[1:])) == (layer, shape)
    heat = visualize_pd.grad_cam_pp(network, batch).numpy()
    assert heat.shape == (1, 1, 224, 224) and np.isfinite(heat).all() and heat.max() > 0
