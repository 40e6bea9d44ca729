"""Images of other sizes, photographs as references, transparent pictures, accentuations."""

import numpy as np
import pytest
from app_helpers import STILL, TINY, read_run, run_generate
from PIL import Image

from visualize_pd import ascend, load_image, load_model
from visualize_pd.app.drawing import cut_out
from visualize_pd.synthesis.objectives import class_score
from visualize_pd.synthesis.parametrisations import Pixels

pytestmark = pytest.mark.usefixtures("tests_folder")
SHORT = {**TINY, "iterations": 4, "frames.every": 2, "target": 1}


@pytest.mark.parametrize(("size", "shape"), [("48", (48, 48)), ("[40, 64]", (40, 64))])
@pytest.mark.parametrize("parametrisation", ["fourier", "pyramid", "phases", "pixels"])
def test_images_have_the_size_that_was_asked_for(tmp_path, size, shape, parametrisation):
    settings = {**SHORT, "size": size, "parametrisation": parametrisation, "fourier.lowest": 1}
    folder = run_generate(tmp_path, **settings) / "class_1"
    record, frames = read_run(folder)
    assert np.asarray(frames[4]).shape == (*shape, 3) and record["complete"]
    assert record["frames"][0]["score"] != record["frames"][-1]["score"]
    with Image.open(folder / "class_1.gif") as gif:
        assert gif.size == shape[::-1]


def test_the_network_sees_no_more_than_the_views_of_a_large_image(tmp_path, monkeypatch):
    seen = set()

    def note(network, images, targets=None):
        seen.add(tuple(images.shape[2:]))
        return class_score(1)(network, images)

    monkeypatch.setattr(
        "visualize_pd.app.generate.class_images.class_score",
        lambda *_, **__: lambda n, i: note(n, i),
    )
    views = {"priors.views.size": 16, "priors.views.until": 0.5, "priors.views.last_size": 32}
    run_generate(tmp_path, **{**SHORT, "size": 96, "growth.sizes": "[]", **views})
    assert seen == {(16, 16), (32, 32)}


@pytest.mark.parametrize(
    ("recipe", "settings", "message"),
    [
        ("class_image", {"size": 4}, "size must be at least 8"),
        ("class_image", {"size": "[32]"}, "size must be a side or [height, width]"),
        ("class_image", {"size": "[32, 32, 32]"}, "size must be a side or [height, width]"),
        ("class_image", {"size": "large"}, "size must be a whole number or a list"),
        ("class_image", {"growth.sizes": "[1]"}, "growth.sizes must be at least 2"),
        ("class_image", {"growth.share": 2}, "growth.share must be at most 1"),
        ("class_image", {"priors.views.zoom": "[2, 1]"}, "zoom must be two factors"),
        ("class_image", {"priors.statistics": -1}, "priors.statistics must be at least 0"),
        ("class_image", {"priors.statistics": 1}, "needs batch normalisation"),
        (
            "class_image",
            {"priors.statistics_form": "norm"},
            "unknown priors.statistics_form 'norm'",
        ),
        ("class_image", {"parametrisation": "wavelets"}, "unknown parametrisation 'wavelets'"),
        ("class_image", {"score": "loud"}, "unknown score 'loud'"),
        ("class_image", {"reference": "empty"}, "empty"),
        ("class_image", {"reference": "broken"}, "broken/b.png"),
        ("class_image", {"reference.images": "none.jpg"}, "none.jpg"),
        ("class_image", {"reference.weight": -1}, "reference.weight must be at least 0"),
        ("class_image", {"reference": "photo.png", "reference.layers": "[x]"}, "no layer 'x'"),
        ("accentuation", {"init": "noise"}, "objective accentuation needs a picture"),
        (
            "accentuation",
            {"target": "[0, 1]", "init": "photo.png"},
            "target must be one class",
        ),
        ("accentuation", {"target": 7, "init": "photo.png"}, "class 7 does not exist"),
        ("accentuation", {"init": "photo.png", "layer": "x"}, "no layer 'x'"),
        (
            "accentuation",
            {"init": "photo.png", "parametrisation": "phases"},
            "use fourier or pyramid",
        ),
        ("accentuation", {"init": "photo.png", "nearness": -1}, "nearness must be at least 0"),
        ("accentuation", {"init": "photo.png", "candidates": 2}, "does not read candidates"),
        ("filter", {"reference": "photo.png", "layer": 0}, "does not read reference"),
    ],
)
def test_bad_settings_are_answered_in_a_sentence(
    tmp_path, photograph, monkeypatch, capsys, recipe, settings, message
):
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    photograph("photo.png")
    photograph("broken/a.png")
    (tmp_path / "broken/b.png").write_bytes(b"\x89PNG no picture")
    places = ("reference", "init", "reference.images")
    settings = {
        key: tmp_path / value if key in places and value != "noise" else value
        for key, value in {**SHORT, **settings}.items()
    }
    if "reference" in settings and "reference.layers" in settings:
        settings["reference.images"] = settings.pop("reference")
    run_generate(tmp_path / "out", code=2, config=recipe, **settings)
    err = capsys.readouterr().err
    assert message in err and err.count("error: ") == 1 and "Traceback" not in err


@pytest.mark.parametrize(
    "small",
    [
        {"size": 8},
        {"growth.sizes": "[24, 8]"},
        {"size": 64, "priors.views.size": 8},
        {"size": 8, "target": "{0: 1, 1: 1}"},
    ],
)
def test_an_image_too_small_for_the_network_is_refused(tmp_path, capsys, small):
    settings = {"model": "{name: 'tiny:pooling_net', image_size: 32}", **small}
    run_generate(tmp_path, code=2, **{**SHORT, **settings})
    err = capsys.readouterr().err
    assert err.count("error: ") == 1 and "8 × 8 pixels are too small" in err and "fast" not in err


def test_references_pull_the_activations_to_those_of_the_photograph(tmp_path, photograph):
    """Compared by the sorted activations of layer 1, which this test computes itself."""
    classifier = load_model("tiny:small_net", image_size=32)
    wanted = sorted_activations(classifier, load_image(photograph("photo.png")))
    distances = {}
    for weight in (0, 200):
        settings = {**SHORT, **STILL, "iterations": 40, "learning_rate": 0.05}
        settings |= {"reference.images": photograph("photo.png"), "reference.weight": weight}
        settings |= {"reference.layers": "['1']", "growth.sizes": "[]"}
        folder = run_generate(tmp_path / str(weight), **settings) / "class_1"
        picture = Image.open(folder / "pp/c_1_iter_40_pp.png")
        found = sorted_activations(classifier, picture)
        distances[weight] = ((found - wanted) ** 2).sum() / (wanted**2).sum()
    assert distances[200] < 0.3 * distances[0]


def sorted_activations(classifier, picture):
    maps = classifier.network[:2](classifier.prepare([picture])).numpy()[0]
    return np.sort(maps.reshape(len(maps), -1), axis=1)


def test_another_reference_is_another_run(tmp_path, photograph, capsys):
    settings = {**SHORT, "reference": photograph("photo.png")}
    run_generate(tmp_path, **settings)
    photograph("photo.png", 64, 96)
    run_generate(tmp_path, code=2, resume=True, **settings)
    assert "another reference" in capsys.readouterr().err


def test_importance_is_the_sum_of_the_gradients():
    """The gradient of a linear score is W at each step, so after n steps it is n · Σ |W|."""
    import paddle

    weights = np.random.default_rng(0).normal(size=(2, 3 * 4 * 4)).astype("float32")
    network = paddle.nn.Sequential(paddle.nn.Flatten(), paddle.nn.Linear(48, 2))
    network[1].weight.set_value(weights.T)
    pixels = Pixels(paddle.zeros([2, 3, 4, 4]))
    frames = list(ascend(network, class_score([0, 1]), pixels, importance=True, iterations=3))
    assert frames[0].importance is None
    each = np.abs(weights.reshape(2, 3, 4, 4)).sum(axis=1, keepdims=True)
    for frame in frames[1:]:
        np.testing.assert_allclose(frame.importance.numpy(), frame.iteration * each, rtol=1e-5)
    again = list(
        ascend(
            network,
            class_score([0, 1]),
            Pixels(paddle.zeros([2, 3, 4, 4])),
            importance=True,
            iterations=3,
            resume=frames[2],
        )
    )
    np.testing.assert_array_equal(again[-1].importance.numpy(), frames[-1].importance.numpy())


def test_opacity_by_hand():
    """Of 0 … 9 the 20th percentile is 1.8, which is clear, and the 80th is 7.2, which is opaque."""
    importance = np.arange(10.0).reshape(1, 2, 5)
    pictures = np.full((1, 2, 5, 3), 7, "uint8")
    found = cut_out(pictures, importance)
    assert (found[..., :3] == 7).all()
    expected = np.round(255 * np.clip((np.arange(10) - 1.8) / 5.4, 0, 1)).reshape(1, 2, 5)
    np.testing.assert_array_equal(found[..., 3], expected)
    assert (cut_out(pictures, np.zeros((1, 2, 5)))[..., 3] == 0).all()


def test_a_transparent_picture_is_written(tmp_path):
    folder = run_generate(tmp_path, **{**SHORT, "transparency": "true"}) / "class_1"
    with Image.open(folder / "class_1_transparent.png") as picture:
        assert picture.mode == "RGBA"
        pixels = np.asarray(picture)
    frame = np.asarray(Image.open(folder / "pp/c_1_iter_4_pp.png"))
    np.testing.assert_array_equal(pixels[..., :3], frame)
    assert pixels[..., 3].min() < 128 and (pixels[..., 3] == 255).mean() == pytest.approx(
        0.2, abs=0.02
    )


def test_an_accentuation_begins_with_the_photograph(tmp_path, photograph):
    path = photograph("photo.png", 200, 160)
    settings = {**SHORT, "init": path, "iterations": 12, "layer": 1, "frames.every": 12}
    folder = run_generate(tmp_path, config="accentuation", **settings) / "accentuation_1"
    record, frames = read_run(folder)
    classifier = load_model("tiny:small_net", image_size=32)
    start = np.asarray(classifier.crop(load_image(path))).astype(int)
    assert np.abs(np.asarray(frames[0]).astype(int) - start).max() <= 2
    change = np.abs(np.asarray(frames[12]).astype(int) - start)
    assert 0.5 < change.mean() < 40
    rows = record["frames"]
    assert rows[1]["score"] > rows[0]["score"] and record["layer"] == "1"
