"""Images of single layers from method 2: filters, dreams, inversions, neurons, first weights."""

import numpy as np
import paddle
import pytest
from app_helpers import read_run, tiny_network
from PIL import Image

from visualize_pd import crop, load_image, load_model, to_tensor
from visualize_pd.synthesis.inversion import inversion


def test_filter_image(generate):
    options = {"layer": "0", "channel": 2, "iterations": 6, "animation.format": "webp"}
    folder = generate("filter", **options) / "filter_0_2"
    record, frames = read_run(folder)
    assert sorted(frames) == [0, 2, 4, 6] and record["complete"]
    assert record["layer"] == "0" and record["channel"] == 2
    scores = [row["score"] for row in record["frames"]]
    assert scores[-1] == record["final_score"] > scores[0]
    (maps,) = (tiny_network()[0](to_tensor([frames[6]])),)
    assert maps[0, 2].mean().item() == pytest.approx(
        scores[-1], abs=0.02
    )  # not equal: the pixels are rounded
    assert (folder / "filter_0_2.webp").is_file() and (folder / "filter_0_2.png").is_file()


def test_dream_keeps_the_size_of_the_photograph(generate, photograph):
    path = photograph(width=90, height=50)
    settings = {"layer": "2", "init": path, "octaves": 2, "iterations": 4}
    record, frames = read_run(generate("deep_dream", **settings) / "dream_2")
    assert sorted(frames) == [0, 2, 4, 6, 8] and frames[8].size == (90, 50)
    before = np.asarray(load_image(path)).astype(int)
    assert np.abs(np.asarray(frames[0]) - before).max() <= 1
    assert np.abs(np.asarray(frames[8]) - before).max() > 5
    with paddle.no_grad():
        maps = tiny_network()[:3](to_tensor([frames[8]]))
    assert record["final_score"] == pytest.approx(float((maps**2).mean()) / 2, rel=0.05)
    assert record["final_score"] > record["frames"][0]["score"]


def test_inversion_approaches_the_features_of_the_photograph(generate, photograph):
    settings = {"layer": "0", "init": photograph(), "iterations": 40, "priors.shift": 0}
    record, frames = read_run(generate("inversion", **settings) / "inversion_0")
    scores = [row["score"] for row in record["frames"]]
    assert scores[0] < -0.9 and scores[-1] > -0.5  # at first the image is nearly empty
    picture = load_image(photograph()).convert("RGB")
    side = round(32 * 256 / 224)
    wanted, found = (
        tiny_network()[0](to_tensor([each])).numpy()
        for each in (crop(picture, 32, side), frames[40])
    )
    distance = ((found - wanted) ** 2).sum() / (wanted**2).sum()
    assert -scores[-1] == pytest.approx(distance, abs=0.03)


def test_exponents_of_an_inversion(generate, photograph):
    """YAML and the function give the same. The default of beta is 2; a class image has 1."""
    common = {"layer": "0", "init": photograph(), "iterations": 5, "frames.every": 5}
    maker = load_model("tiny:small_net", image_size=32)
    image = maker.prepare([load_image(photograph())])
    strong = {"priors.total_variation": 0.01, "priors.alpha_norm": 0.01, "priors.shift": 0}
    strong |= {"parametrisation": "pixels", "cooling": 1, "learning_rate": 0.1}
    for given, options in (
        ({}, {"beta": 2, "alpha": 6}),
        ({"priors.beta": 1, "priors.alpha": 2}, {"beta": 1, "alpha": 2}),
    ):
        _, frames = read_run(generate("inversion", **common, **strong, **given) / "inversion_0")
        weights = {"total_variation": 0.01, "alpha_norm": 0.01, "shift": 0}
        *_, last = inversion(maker.network, "0", image, iterations=5, **weights, **options)
        np.testing.assert_array_equal(np.asarray(frames[5]), maker.to_pixels(last.image)[0])


def test_contact_sheet_of_channels(generate):
    """Channels given as a range, a list or `all`. Each image excites its own channel."""
    common = {"layer": "0", "iterations": 4, "frames.every": 4}
    record, frames = read_run(generate("filter", channel="all", **common) / "filter_0_0-3")
    assert record["channel"] == [0, 1, 2, 3] and frames[4].size == (128, 32)
    tiles = [frames[4].crop((x, 0, x + 32, 32)) for x in (0, 32, 64, 96)]
    means = tiny_network()[0](to_tensor(tiles)).mean([2, 3]).numpy()
    np.testing.assert_allclose(record["frames"][-1]["score"], means.diagonal(), atol=0.02)
    part, _ = read_run(generate("filter", channel="1-2", **common) / "filter_0_1_2")
    assert part["channel"] == [1, 2]
    np.testing.assert_allclose(part["frames"][-1]["score"], means.diagonal()[1:3], atol=0.02)
    listed, _ = read_run(generate("filter", channel="[3, 1]", **common) / "filter_0_3_1")
    np.testing.assert_allclose(listed["frames"][-1]["score"], means.diagonal()[[3, 1]], atol=0.02)


def test_contact_sheet_in_several_batches_is_the_same(generate, monkeypatch):
    common = {"layer": "0", "channel": "all", "iterations": 3}
    together, frames = read_run(generate("filter", **common) / "filter_0_0-3")
    before = np.asarray(frames[3]).astype(int)
    monkeypatch.setattr("visualize_pd.app.generate.task.images_per_pass", lambda *_: 3)
    apart, frames = read_run(generate("filter", **common) / "filter_0_0-3")
    assert np.abs(np.asarray(frames[3]) - before).max() <= 1
    np.testing.assert_allclose(
        apart["frames"][-1]["score"], together["frames"][-1]["score"], atol=1e-4
    )


def test_image_of_a_single_neuron(generate):
    settings = {"layer": "0", "channel": 1, "position": "[5, 9]", "iterations": 4}
    record, frames = read_run(generate("filter", **settings) / "filter_0_1_at_5_9")
    value = float(tiny_network()[0](to_tensor([frames[4]]))[0, 1, 5, 9])
    assert record["final_score"] == pytest.approx(value, abs=0.05)
    assert record["position"] == [5, 9]


def test_weights_of_the_first_layer(generate, capsys):
    """Zero is drawn as grey, and the strongest weight of a filter as 0 or 255."""
    folder = generate("first_layer") / "weights_0"
    sheet = np.asarray(Image.open(folder / "weights_0.png").convert("RGB"))
    weights = tiny_network()[0].weight.numpy()
    assert f"{len(weights)} filters of 3x3" in capsys.readouterr().out
    shares = 0.5 + weights / np.abs(weights).max(axis=(1, 2, 3), keepdims=True) / 2
    wanted = np.round(shares * 255).transpose(0, 2, 3, 1).astype("uint8")
    for filter_ in wanted:
        big = filter_.repeat(54, axis=0).repeat(54, axis=1)
        corner = big[0, 0]
        places = np.argwhere((sheet == corner).all(axis=2))
        assert any(np.array_equal(sheet[y : y + 162, x : x + 162], big) for y, x in places[:2000])
