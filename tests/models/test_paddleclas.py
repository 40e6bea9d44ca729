"""Networks of PaddleClas: by name, with their classes, and what is said where they are missing."""

import importlib.util
import sys

import numpy as np
import paddle
import pytest
from paddle import nn

from visualize_pd.app.commands.main import main
from visualize_pd.core.errors import ModelError, WeightsMissingError
from visualize_pd.models.loading import load_model
from visualize_pd.models.networks import paddleclas as networks

NAME = "PPLCNet_x0_25"


def own_net(class_num=7):
    """A builder of the user's own that says `class_num`."""
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, class_num))


def test_class_num_is_given_to_a_builder_that_knows_no_num_classes():
    name = f"{__name__}:own_net"
    assert load_model(name, num_classes=4).network[1].weight.shape == [192, 4]
    assert load_model(name).network[1].weight.shape == [192, 7]


def test_without_paddleclas_the_line_to_type_is_said(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda *_: None)
    for module in [name for name in sys.modules if name.partition(".")[0] == "ppcls"]:
        monkeypatch.delitem(sys.modules, module)
    with pytest.raises(ModelError) as error:
        load_model(f"paddleclas:{NAME}", "random")
    assert str(error.value) == f"PaddleClas is not installed; type: {networks.INSTALL}"


@pytest.mark.parametrize(
    ("name", "size"),
    [
        (NAME, 224),
        ("ViT_base_patch16_384", 384),
        ("SwinTransformerV2_tiny_patch4_window8_256", 256),
        ("SwinTransformer_tiny_patch4_window7_224_SOLIDER", 224),
        ("RegNetX_400MF", 224),
        ("InceptionV3", 299),
    ],
)
def test_the_name_says_the_size_of_the_input(name, size):
    assert networks.input_size(name) == size


class TestWithPaddleClas:
    @pytest.fixture(autouse=True)
    def _installed(self):
        if importlib.util.find_spec("paddleclas") is None:
            pytest.skip("PaddleClas is not installed")

    def test_it_has_imagenets_classes_unless_told(self):
        before = list(sys.path)
        model = load_model(f"paddleclas:{NAME}", "random")
        assert sys.path == before
        assert model.network.fc.weight.shape[1] == 1000
        assert model.class_name(0) == "tench"
        assert (model.image_size, model.resize) == (224, 256)
        assert load_model(f"paddleclas:{NAME}", "random", num_classes=5).labels is None

    def test_close_names_are_said(self):
        with pytest.raises(ModelError, match=r"no network 'pplcnet_x0_2'; use PPLCNet_x0_25 or"):
            load_model("paddleclas:pplcnet_x0_2", "random")

    def test_auto_finds_its_file_in_weights(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "weights").mkdir()
        with pytest.raises(WeightsMissingError, match=f"whose name begins with {NAME} into"):
            load_model(f"paddleclas:{NAME}")
        own = load_model(f"paddleclas:{NAME}", "random").network
        paddle.save(own.state_dict(), f"weights/{NAME}_pretrained.pdparams")
        found = load_model(f"paddleclas:{NAME}").network
        assert np.array_equal(found.fc.weight.numpy(), own.fc.weight.numpy())

    def test_its_layers_are_listed(self, capsys):
        assert main(["models", f"paddleclas:{NAME}"]) == 0
        printed = capsys.readouterr().out
        assert f"{NAME}: 224×224 pixels, 1000 classes; weights now: none" in printed
        assert "blocks6.1.pw_conv" in printed

    def test_networks_that_name_their_parameters_are_built_twice(self):
        for _ in range(2):
            assert load_model("paddleclas:SqueezeNet1_1", "random", num_classes=2).labels is None
