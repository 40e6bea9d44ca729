"""What method 2 writes for each objective, from YAML."""

import json
from pathlib import Path

import numpy as np
import paddle
import pytest
from PIL import Image

from visualize_pd import crop, load_image, load_model, noise, priors, to_tensor
from visualize_pd.cli import generate_command
from visualize_pd.config import GenerateConfig, build
from visualize_pd.generate import frames_of

ROOT = Path(__file__).parents[1]
TINY = {"model": "{name: tiny:small_net, image_size: 32}", "frames.every": "2"}


@pytest.fixture(autouse=True)
def here(monkeypatch):
    monkeypatch.chdir(ROOT / "tests")


@pytest.fixture
def generate(tmp_path):
    def run(recipe, code=0, **settings):
        keys = {**TINY, "output": tmp_path, **settings}
        overrides = [part for key, value in keys.items() for part in ("-o", f"{key}={value}")]
        assert generate_command(ROOT / f"configs/{recipe}.yaml", overrides) == code
        return tmp_path / "method_2"

    return run


def made(folder):
    """The record, and the frames by their iteration."""
    record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    frames = {row["iteration"]: Image.open(folder / row["file"]) for row in record["frames"]}
    return record, frames


def network():
    return load_model("tiny:small_net", image_size=32).network


def test_filter(generate):
    options = {"layer": "0", "channel": 2, "iterations": 6, "animation.format": "webp"}
    folder = generate("filter", **options) / "filter_0_2"
    record, frames = made(folder)
    assert sorted(frames) == [0, 2, 4, 6] and record["complete"]
    assert record["layer"] == "0" and record["channel"] == 2
    scores = [row["score"] for row in record["frames"]]
    assert scores[-1] == record["final_score"] > scores[0]
    (maps,) = (network()[0](to_tensor([frames[6]])),)
    assert maps[0, 2].mean().item() == pytest.approx(scores[-1], abs=0.02)  # but for rounding
    assert (folder / "filter_0_2.webp").is_file() and (folder / "filter_0_2.png").is_file()


def test_dream_keeps_the_size_of_its_photograph(generate, photograph):
    path = photograph(width=90, height=50)
    settings = {"layer": "2", "init": path, "octaves": 2, "iterations": 4}
    record, frames = made(generate("deep_dream", **settings) / "dream_2")
    assert sorted(frames) == [0, 2, 4, 6, 8] and frames[8].size == (90, 50)
    before = np.asarray(load_image(path)).astype(int)
    assert np.abs(np.asarray(frames[0]) - before).max() <= 1
    assert np.abs(np.asarray(frames[8]) - before).max() > 5
    with paddle.no_grad():
        maps = network()[:3](to_tensor([frames[8]]))
    assert record["final_score"] == pytest.approx(float((maps**2).mean()) / 2, rel=0.05)
    assert record["final_score"] > record["frames"][0]["score"]


def test_inversion_comes_near_to_its_photograph(generate, photograph):
    settings = {"layer": "0", "init": photograph(), "iterations": 40, "priors.shift": 0}
    record, frames = made(generate("inversion", **settings) / "inversion_0")
    scores = [row["score"] for row in record["frames"]]
    assert scores[0] < -0.9 and scores[-1] > -0.5  # at first the image is nearly empty
    picture = load_image(photograph()).convert("RGB")
    side = round(32 * 256 / 224)
    wanted, found = (
        network()[0](to_tensor([each])).numpy() for each in (crop(picture, 32, side), frames[40])
    )
    distance = ((found - wanted) ** 2).sum() / (wanted**2).sum()
    assert -scores[-1] == pytest.approx(distance, abs=0.03)


@pytest.mark.parametrize(
    ("recipe", "settings", "message"),
    [
        ("filter", {"layer": "9"}, "no layer '9'"),
        ("filter", {"layer": "0", "channel": 4}, "no channel 4"),
        ("filter", {"layer": "null"}, "objective filter needs a layer"),
        ("deep_dream", {"layer": "0", "init": "noise"}, "needs a picture"),
        ("deep_dream", {"layer": "0", "init": "none.jpg"}, "none.jpg"),
        ("inversion", {"layer": "0", "init": "grey"}, "needs a picture"),
        ("inversion", {"layer": "null"}, "needs a layer"),
        ("filter", {"animation.format": "avi"}, "unknown animation format 'avi'; use gif, webp"),
        ("filter", {"objective": "dream"}, "unknown objective 'dream'; use class_image, filter"),
        ("deep_dream", {"octave_scale": 1}, "octave_scale must be greater than 1"),
    ],
)
def test_mistakes_end_in_one_sentence(generate, capsys, recipe, settings, message):
    generate(recipe, code=2, **settings)
    err = capsys.readouterr().err
    assert message in err and err.count("error: ") == 1 and "Traceback" not in err


MEAN, STD = (np.reshape(each, (3, 1, 1)) for each in ([0.5, 0.4, 0.3], [0.2, 0.3, 0.1]))
LOW, HIGH = -MEAN / STD, (1 - MEAN) / STD


@pytest.mark.parametrize(
    ("prior", "expected"),
    [
        ({"blur": 1.5, "blur_every": 1}, lambda image, _: priors.blur(image, 1.5)),
        ({"blur": 1.5, "blur_every": 2}, lambda image, _: image),
        ({"small_norm": 0.3},
         lambda image, _: priors.without_small(image, (image**2).sum(1, keepdim=True), 0.3)),
        ({"small_contribution": 0.6}, lambda image, slope: priors.without_small(
            image, (image * slope).sum(1, keepdim=True).abs(), 0.6)),
        ({"clamp": True}, lambda image, _: np.clip(image.numpy(), LOW, HIGH)),
    ],
)  # fmt: skip
def test_what_is_done_to_the_pixels_after_a_step(prior, expected):
    """One step without it, then by hand."""
    maker = load_model("tiny:small_net", image_size=32, mean=[0.5, 0.4, 0.3], std=[0.2, 0.3, 0.1])
    start, common = noise((1, 3, 32, 32), std=3.0), {"shift": 0, "total_variation": 0}

    def steps(**own):
        values = {"iterations": 1, "lambda": 0, "priors": {**common, **own}}
        return [f.image for f in frames_of(build(GenerateConfig, values), maker, 1, start)]

    x = start.detach()
    x.stop_gradient = False
    (slope,) = paddle.grad(-maker.network(x)[:, 1].sum(), x)
    _, plain = steps()
    _, found = steps(**prior)
    np.testing.assert_allclose(found.numpy(), np.asarray(expected(plain, slope)), atol=1e-5)


def test_a_spectrum_cannot_be_blurred(generate, capsys):
    generate("filter", code=2, **{"layer": 0, "priors.blur": 1})
    assert "use pixels" in capsys.readouterr().err
