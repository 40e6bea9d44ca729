"""Weights of every known layout end in the right place, and no others are let in."""

from pathlib import Path

import numpy as np
import paddle
import pytest
from golden.checkpoint_files import torch_file
from paddle import nn
from safetensors.numpy import save_file

from visualize_pd.core.errors import WeightsError
from visualize_pd.models.loading import load_model
from visualize_pd.models.networks.alexnet import AlexNet, translate
from visualize_pd.models.networks.efficientnet_lite import packaged_weights
from visualize_pd.models.weights.finding import find_weights
from visualize_pd.models.weights.fitting import load_weights

GOLDEN = Path(__file__).parents[1] / "golden"
EXPECTED = dict(np.load(GOLDEN / "checkpoint_expected.npz"))

# The four layouts of AlexNet, layer by layer.
OURS = [f"features.{i}" for i in (0, 3, 6, 8, 10)] + [f"classifier.{i}" for i in (1, 4, 6)]
TWIN = ["f1_conv", "f4_conv", "f7_conv", "f9_conv", "f11_conv", "c2", "c4", "c6"]
ZOO = ["_conv1._conv", "_conv2._conv", "_conv3", "_conv4", "_conv5._conv", "_fc6", "_fc7", "_fc8"]


def values(network):
    return {name: value.numpy() for name, value in network.state_dict().items()}


def write(path, arrays):
    """A weight file of arrays, in the format that the name asks for."""
    if path.suffix == ".safetensors":
        save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, path)
    elif path.suffix == ".pdparams":
        paddle.save(arrays, str(path))
    else:
        path.write_bytes(torch_file(arrays, legacy="legacy" in path.name))
    return path


def transposed(arrays):
    """Every matrix the other way round, as PyTorch has its Linear weights."""
    return {name: array.T if array.ndim == 2 else array for name, array in arrays.items()}


# AlexNet


@pytest.fixture(scope="module")
def zoo():
    """Paddle's own AlexNet with weights that let signals through, and what it says to images."""
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
    """The same function in torchvision's terms: dropouts that halve at inference are in weights."""
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
def test_alexnet_layouts(tmp_path, alexnet, zoo, ours, name, layout):
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
        path.unlink()  # hundreds of megabytes
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
def test_the_logits_of_pytorch(kind):
    network = small()
    load_weights(network, GOLDEN / f"checkpoint_net_{kind}.pth")
    network.eval()
    logits = network(paddle.to_tensor(EXPECTED["images"])).numpy()
    np.testing.assert_allclose(logits, EXPECTED["logits"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("content", ["wrapped_zip", "wrapped_legacy", "model_zip", "model_legacy"])
def test_wrapped_files_of_pytorch(content):
    network = small()
    load_weights(network, GOLDEN / f"checkpoint_{content}.pth")
    found = values(network)
    for name, theirs in (("1._mean", "1.running_mean"), ("1._variance", "1.running_var")):
        np.testing.assert_array_equal(found[name], EXPECTED[f"trained/{theirs}"])
    for layer in (5, 7, 9):
        weight = EXPECTED[f"trained/{layer}.weight"]
        np.testing.assert_array_equal(found[f"{layer}.weight"], weight.T)
        np.testing.assert_array_equal(found[f"{layer}.bias"], EXPECTED[f"trained/{layer}.bias"])


class Counting(nn.Layer):
    """A person's own layer, with a counter and with statistics named as in PyTorch."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 3)
        self.register_buffer("running_mean", paddle.to_tensor([0.25, -1.0]))
        self.register_buffer("num_batches_tracked", paddle.to_tensor([123], dtype="int64"))


def test_own_buffers(tmp_path):
    first, second = Counting(), Counting()
    paddle.save(first.state_dict(), str(tmp_path / "own.pdparams"))
    second.running_mean.set_value(np.zeros(2, "f4"))
    second.num_batches_tracked.set_value(np.zeros(1, "int64"))
    load_weights(second, tmp_path / "own.pdparams")
    for name, array in values(first).items():
        np.testing.assert_array_equal(values(second)[name], array)
        assert values(second)[name].dtype == array.dtype


# Linear weights: [in, out] in Paddle, [out, in] in PyTorch


def check_linears(path, network, arrays, turned):
    expected = transposed(arrays) if turned else arrays
    load_weights(network, write(path, arrays))
    for name, array in values(network).items():
        np.testing.assert_array_equal(array, expected[name], err_msg=name)


def noise(network):
    random = np.random.default_rng(5)
    return {k: random.standard_normal(v.shape, dtype="float32") for k, v in values(network).items()}


@pytest.mark.parametrize(
    "name, turned",
    [("a.pth", True), ("legacy.pt", True), ("A.PTH", True), ("a.pdparams", False),
     ("a.safetensors", False)],
)  # fmt: skip
def test_square_linears_go_by_the_kind_of_file(tmp_path, name, turned):
    network = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))
    check_linears(tmp_path / name, network, noise(network), turned)


@pytest.mark.parametrize("name", ["a.pth", "a.pdparams", "a.safetensors"])
@pytest.mark.parametrize("turned", [True, False])
def test_one_oblong_linear_tells_for_all(tmp_path, name, turned):
    network = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 3), nn.Linear(3, 3))
    arrays = transposed(noise(network)) if turned else noise(network)
    check_linears(tmp_path / name, network, arrays, turned)


def test_a_linear_alone(tmp_path):
    network = nn.Linear(3, 2)
    check_linears(tmp_path / "a.pth", network, transposed(noise(network)), True)


def test_only_linears_are_turned(tmp_path):
    network = nn.Sequential(nn.Embedding(4, 4), nn.Linear(4, 3))
    arrays = noise(network)
    path = write(tmp_path / "a.pth", {**arrays, "1.weight": arrays["1.weight"].T})
    load_weights(network, path)
    for name, array in values(network).items():
        np.testing.assert_array_equal(array, arrays[name])


def test_a_linear_under_two_names(tmp_path):
    network = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 3))
    network.add_sublayer("again", network[0])
    arrays = noise(network)
    arrays.update({f"again.{k}": arrays[f"0.{k}"] for k in ("weight", "bias")})
    load_weights(network, write(tmp_path / "a.pth", transposed(arrays)))
    np.testing.assert_array_equal(network[0].weight.numpy(), arrays["0.weight"])


def test_linears_of_both_kinds_in_one_file(tmp_path):
    network = nn.Sequential(nn.Linear(4, 2), nn.Linear(2, 3))
    arrays = noise(network)
    path = write(tmp_path / "a.pth", {**arrays, "1.weight": arrays["1.weight"].T})
    with pytest.raises(WeightsError, match=r"0\.weight"):
        load_weights(network, path)


@pytest.mark.parametrize("prefix", ["module.", "model.", "module.model.", "Student.", "backbone."])
def test_shared_prefixes(tmp_path, prefix):
    network = nn.Sequential(nn.Conv2D(1, 2, 3), nn.Linear(4, 3))
    arrays = noise(network)
    path = write(tmp_path / "a.safetensors", {prefix + k: a for k, a in arrays.items()})
    load_weights(network, path)
    for name, array in values(network).items():
        np.testing.assert_array_equal(array, arrays[name])


# Files that do not fit


@pytest.mark.parametrize(
    "change, told",
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
def test_weights_that_do_not_fit(tmp_path, name, change, told):
    network = nn.Sequential(nn.Conv2D(1, 4, 3), nn.ReLU(), nn.Linear(4, 3))
    before, arrays = values(network), noise(network)
    change(arrays)
    with pytest.raises(WeightsError) as error:
        load_weights(network, write(tmp_path / name, arrays))
    for words in (*told, name, "Sequential"):
        assert words in str(error.value)
    for key, array in values(network).items():
        np.testing.assert_array_equal(array, before[key])


def test_weights_of_another_network(tmp_path):
    path = write(tmp_path / "other.pdparams", noise(nn.Sequential(nn.Conv2D(1, 4, 3))))
    with pytest.raises(WeightsError, match="do not fit"):
        load_weights(small(), path)
    with pytest.raises(WeightsError, match=r"_conv_stem\.weight"):
        load_model("efficientnet_lite0", weights=str(path))


def test_another_number_of_classes_is_named(tmp_path):
    path = write(tmp_path / "a.pdparams", noise(nn.Linear(4, 3)))
    with pytest.raises(WeightsError, match="num_classes"):
        load_weights(nn.Linear(4, 2), path)


@pytest.mark.parametrize("content", [b"", b"hello", b"<html><p>Not found</p></html>", None])
def test_files_that_hold_no_weights(tmp_path, content):
    path = tmp_path / "alexnet.pth"
    path.mkdir() if content is None else path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"alexnet\.pth"):
        load_weights(nn.Linear(2, 2), path)
    with pytest.raises(WeightsError, match=r"alexnet\.pth"):
        load_model("efficientnet_lite0", weights=str(path))


def test_a_file_that_is_not_there(tmp_path):
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


def test_find_weights_passes_over_folders(tmp_path):
    (tmp_path / "alexnet.pdparams").mkdir()
    (tmp_path / "alexnet.pth").touch()
    assert find_weights("alexnet", tmp_path) == tmp_path / "alexnet.pth"


def test_a_folder_left_of_a_package_holds_no_weights(tmp_path, monkeypatch):
    (tmp_path / "efficientnet_lite9_pytorch_model").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    assert packaged_weights(9) is None


def test_published_weights_are_not_for_other_classes(tmp_path, monkeypatch):
    """No download, and no stand-in: neither could show a network of two classes."""
    (tmp_path / "weights").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "visualize_pd.models.loading.download_once_a_day", lambda *_: pytest.fail("downloads")
    )
    for name in ("alexnet", "efficientnet_lite0", "resnet18"):
        with pytest.raises(WeightsError, match="with 2 classes: the published ones have 1000"):
            load_model(name, fallback="efficientnet_lite0", num_classes=2)
