"""The worked example: a network learns a mark in the corner, and the maps show this."""

import numpy as np
import paddle
import pytest
from app_helpers import ROOT

from visualize_pd import crop, grad_cam, integrated_gradients, load_image, saliency, to_tensor
from visualize_pd.app.commands.scripts import explain_command
from visualize_pd.app.examples import shortcut


@pytest.fixture(scope="module")
def network():
    return shortcut.train(steps=20)


def test_network_decides_by_the_mark_alone(network):
    right = {mark: shortcut.accuracy(network, mark, 80) for mark in ("planted", "none", "swapped")}
    assert right["planted"] > 0.95 and 0.3 < right["none"] < 0.7 and right["swapped"] < 0.05


def in_view(box):
    """Where a box of the whole image lies in the square that the network sees."""
    edge = (shortcut.SIDE - shortcut.SEEN) // 2
    x0, y0, x1, y1 = (value - edge for value in box)
    mask = np.zeros((shortcut.SEEN, shortcut.SEEN), dtype=bool)
    mask[y0 : y1 + 1, x0 : x1 + 1] = True
    return mask


def test_maps_are_high_on_the_mark_and_not_on_the_shape(network):
    random = np.random.default_rng(5)
    pictures = [shortcut.draw(kind, True, random) for kind in (0, 1, 0, 1)]
    images = to_tensor([crop(p, shortcut.SEEN, shortcut.SIDE) for p in pictures])
    mark, area = in_view(shortcut.MARK), in_view(shortcut.MARK).mean()
    maps = integrated_gradients(network, images, 1, channel="sum", steps=10).numpy()[:, 0]
    assert (np.abs(maps)[:, mark].sum(1) / np.abs(maps).sum((1, 2)) > 20 * area).all()
    heat = saliency(network, images, 1).numpy()[:, 0]
    assert (heat[:, mark].mean(1) > 3 * heat[:, ~mark].mean(1)).all()
    coarse = grad_cam(network, images, 1).numpy()[:, 0]
    assert (coarse[:, mark].mean(1) > 1.5 * coarse[:, ~mark].mean(1)).all()


def test_example_runs_from_training_to_the_figure(tmp_path, monkeypatch, capsys):
    """The steps of README, with a training too short to learn: files, names and config fit."""
    monkeypatch.chdir(tmp_path)
    shortcut.main(["--steps", "1"])
    out = capsys.readouterr().out
    assert out.count("right\n") == 3 and "weights/shortcut.pdparams" in out
    assert load_image("images/shortcut/circle_marked.png").getpixel((20, 20)) == (220, 30, 30)
    assert load_image("images/shortcut/circle.png").getpixel((20, 20)) != (220, 30, 30)
    assert explain_command(ROOT / "configs/shortcut.yaml", ["-o", "compare=[saliency]"]) == 0
    assert "square_marked.png: " in capsys.readouterr().out
    assert (tmp_path / "images/method_1/comparison_pp.jpg").is_file()
    assert paddle.load("weights/shortcut.pdparams")["classifier.3.weight"].shape == [128, 2]
