"""A made-up CAM of a few lines works everywhere once it stands in the table."""

import re
from pathlib import Path

import numpy as np
import paddle
import pytest

from visualize_pd import METHODS, load_image, load_model
from visualize_pd.app.commands.main import main
from visualize_pd.attribution.cam.pipeline import CamInputs, cam


@cam
def peak_cam(inputs: CamInputs, *, power: float = 1.0) -> paddle.Tensor:
    """Peak-CAM: α_k is the largest gradient of a channel, not the mean one."""
    peaks = inputs.gradients.amax(axis=[2, 3], keepdim=True)
    return peaks**power * inputs.activations


NETWORK = "{name: tiny:small_net, image_size: 32}"


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    monkeypatch.setitem(METHODS, "peak_cam", peak_cam)


@pytest.fixture
def run(tmp_path, photograph):
    def explain(*keys):
        photograph("a.png")
        fixed = (f"images={tmp_path / 'a.png'}", f"model={NETWORK}", f"output={tmp_path}")
        overrides = [part for key in (*fixed, *keys) for part in ("-o", key)]
        assert main(["explain", *overrides]) == 0
        return tmp_path / "method_1"

    return explain


def by_hand(path):
    """The map of the network's last feature maps, by Paddle alone."""
    classifier = load_model("tiny:small_net", image_size=32)
    maps = classifier.network[:4](classifier.prepare([load_image(path)])).detach()
    maps.stop_gradient = False
    logits = classifier.network[4:](maps)
    logits.max().backward()
    small = (maps.grad.amax(axis=[2, 3], keepdim=True) ** 2 * maps).sum(axis=1, keepdim=True)
    large = paddle.nn.functional.interpolate(small.clip(min=0), size=[32, 32], mode="bilinear")
    return large.numpy()[0]


def test_it_is_short():
    source = Path(__file__).read_text(encoding="utf-8")
    assert len(re.search(r"@cam.*?\n\n\n", source, re.DOTALL)[0].strip().splitlines()) <= 15


def test_the_script_draws_it_with_its_own_option(run, tmp_path):
    folder = run("method={name: peak_cam, power: 2}", "save_arrays=true")
    expected = by_hand(tmp_path / "a.png")
    found = np.load(folder / "a_pp.npy")
    assert np.abs(expected).max() > 0
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6 * np.abs(expected).max())
    assert (folder / "a_pp.jpg").is_file()


def test_it_stands_in_comparison_and_report(run):
    folder = run("compare=[grad_cam, peak_cam, {name: peak_cam, guided: true}]", "report=true")
    assert (folder / "comparison_pp.jpg").is_file()
    assert "peak_cam" in (folder / "index.html").read_text(encoding="utf-8")


def test_the_command_lists_and_describes_it(capsys):
    assert main(["methods"]) == 0 and "Peak-CAM: α_k is the largest" in capsys.readouterr().out
    assert main(["methods", "peak_cam"]) == 0
    output = capsys.readouterr().out
    assert "power" in output and "aug_smooth" in output and "1.0" in output


def test_its_options_are_checked(capsys):
    assert main(["explain", "-o", "method={name: peak_cam, powr: 2}"]) == 2
    assert "did you mean 'power'?" in capsys.readouterr().err
