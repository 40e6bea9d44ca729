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
from visualize_pd.models.weights.finding import find_weights

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
    ("name", "settings"),
    [
        (NAME, {}),
        ("RegNetX_400MF", {}),
        ("SwinTransformer_tiny_patch4_window7_224_SOLIDER", {}),
        ("SwinTransformer_base_patch4_window12_384", {"image_size": 384, "resize": 438}),
        ("SwinTransformerV2_tiny_patch4_window8_256", {"image_size": 256, "resize": 292}),
        ("CLIP_vit_large_patch14_336", {"image_size": 336, "resize": 384}),
        ("LeViT_384", {"image_size": 224, "resize": 256}),  # 384 are its channels
        ("EfficientNetB3", {"image_size": 300, "resize": 332}),
        ("InceptionV3", {"image_size": 299, "resize": 320}),
        ("MobileViT_S", {"image_size": 256, "resize": 292, "mean": (0.0,) * 3, "std": (1.0,) * 3}),
        ("ViT_base_patch16_224", {"mean": (0.5,) * 3, "std": (0.5,) * 3}),
        (
            "ViT_base_patch16_384",
            {"image_size": 384, "resize": 438, "mean": (0.5,) * 3, "std": (0.5,) * 3},
        ),
    ],
)
def test_input_settings_are_those_of_paddleclas(name, settings):
    """Numbers of PaddleClas's configs, under `ppcls/configs/ImageNet`."""
    assert networks.input_of(name) == settings


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

    def test_the_file_of_a_longer_name_is_not_taken(self, tmp_path):
        for name in ("ResNet18_vd_pretrained", "ResNet18_zoo"):
            (tmp_path / f"{name}.pdparams").write_bytes(b"")
        found = find_weights("ResNet18", tmp_path, networks.builders())
        assert found.name == "ResNet18_zoo.pdparams"

    def test_networks_that_only_a_model_file_has(self):
        backbone = sys.modules[networks.builders()[NAME].__module__.rpartition(".legendary")[0]]
        assert "EfficientNetV2_M" in networks.builders()
        assert "EfficientNetV2_M" not in backbone.__all__

    def test_a_network_of_another_size_runs(self):
        """LeViT takes no other size than its own, and its name says something else."""
        model = load_model("paddleclas:LeViT_128S", "random", num_classes=3)
        assert model.network(paddle.zeros([1, 3, *[model.image_size] * 2])).shape == [1, 3]

    def test_networks_of_faces_have_no_classes(self):
        model = load_model("paddleclas:AdaFace_IR_18", "random")
        assert model.labels is None
        assert model.network(paddle.zeros([1, 3, *[model.image_size] * 2])).shape == [1, 512]
        with pytest.raises(ModelError, match="cannot build paddleclas:AdaFace_IR_18: TypeError"):
            load_model("paddleclas:AdaFace_IR_18", "random", num_classes=3)

    def test_nothing_is_downloaded(self, monkeypatch):
        """UniFormer's builders fetch weights, unless they are told not to."""
        asked = []
        module = sys.modules[networks.builders()["UniFormer_small"].__module__]
        monkeypatch.setattr(module, "load_dygraph_pretrain", lambda *_, **__: asked.append(1))
        load_model("paddleclas:UniFormer_small", "random", num_classes=3)
        assert not asked

    def test_parameters_have_names_of_their_own(self):
        """Also if two networks are the same: compiled programs tell arrays by their names."""
        one, two = (load_model(f"paddleclas:{NAME}", "random").network for _ in range(2))
        assert not {p.name for p in one.parameters()} & {p.name for p in two.parameters()}

    def test_its_layers_are_listed(self, capsys):
        assert main(["models", f"paddleclas:{NAME}"]) == 0
        printed = capsys.readouterr().out
        assert f"{NAME}: 224×224 pixels, 1000 classes; weights now: none" in printed
        assert "blocks6.1.pw_conv" in printed

    def test_networks_that_name_their_parameters_are_built_twice(self):
        for _ in range(2):
            assert load_model("paddleclas:SqueezeNet1_1", "random", num_classes=2).labels is None
