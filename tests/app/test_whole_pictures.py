"""Runs that show the network whole pictures, and pictures with many channels."""

import json
import re
import shutil

import numpy as np
import pytest
from app_helpers import EXPLAIN, GENERATE, overrides, read_csv, run_explain
from every_method import OPTIONS
from PIL import Image, ImageDraw
from transformers import ATTENTION_METHODS

from visualize_pd import METHODS, explain_image, load_image, load_model, render
from visualize_pd.app.commands.evaluate import evaluate_command

pytestmark = pytest.mark.usefixtures("tests_folder")
# The gradient of class 0 is the image itself.
ENERGY = (
    "{{name: tiny:energy_net, image_size: 64, mean: [0, 0, 0], std: [1, 1, 1], preprocess: {}}}"
)
TARGET = {"target": 0}
PATCH = (252, 60, 276, 90)


@pytest.fixture
def pictures(tmp_path):
    """A wide and a tall picture, black with a bright patch near one end."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    wide = Image.new("RGB", (300, 150), "black")
    ImageDraw.Draw(wide).rectangle([PATCH[0], PATCH[1], PATCH[2] - 1, PATCH[3] - 1], fill="white")
    wide.save(folder / "wide.png")
    wide.transpose(Image.Transpose.TRANSPOSE).save(folder / "tall.png")
    wide.crop((0, 0, 300, 140)).save(folder / "less.png")
    return folder


def centre_of(values):
    y, x = np.mgrid[: values.shape[0], : values.shape[1]] + 0.5
    return (x * values).sum() / values.sum(), (y * values).sum() / values.sum()


@pytest.mark.parametrize("mode", ["resize", "pad", "full"])
def test_arrays_have_the_pixels_of_the_photographs(tmp_path, pictures, mode):
    """Three sizes in one batch; the patch is where it was, which a centre crop cuts off."""
    folder = run_explain(
        tmp_path, images=pictures, model=ENERGY.format(mode), save_arrays=True, **TARGET
    )
    centre = ((PATCH[0] + PATCH[2]) / 2, (PATCH[1] + PATCH[3]) / 2)
    for name, shape, expected in (
        ("wide", (1, 150, 300), centre),
        ("tall", (1, 300, 150), centre[::-1]),
        ("less", (1, 140, 300), centre),
    ):
        values = np.load(folder / f"{name}_pp.npy")
        assert values.shape == shape
        assert centre_of(values[0]) == pytest.approx(expected, abs=0.2)
    assert [row["file"][-8:-4] for row in read_csv(folder / "summary.csv")] == [
        "less",
        "tall",
        "wide",
    ]


@pytest.mark.parametrize("mode", ["resize", "pad", "full"])
def test_the_figure_shows_the_whole_photograph_and_the_map_on_it(pictures, mode):
    """Panels of 300 × 150 pixels: the photograph, the colours, the map and the overlay."""
    classifier = load_model(
        "tiny:energy_net", image_size=64, mean=(0,) * 3, std=(1,) * 3, preprocess=mode
    )
    path = pictures / "wide.png"
    figure = np.asarray(explain_image(classifier, path, "saliency", target=0)).astype(float)
    top, left = 32 + 44, 32
    panels = [figure[top : top + 150, left + n * 332 : left + n * 332 + 300] for n in range(4)]
    np.testing.assert_array_equal(panels[0], np.asarray(load_image(path)))
    purple = np.array([68, 1, 84])
    heat = np.abs(panels[2] - purple).sum(2)
    assert centre_of(heat) == pytest.approx((264, 75), abs=0.3)
    assert (panels[2][[0, -1]] == purple).all() and not (panels[2] == 255).all(2).any()
    grid = explain_image(classifier, pictures / "tall.png", ["saliency", "gradient"], target=0)
    assert grid.size == (20 + 3 * (128 + 20), 20 + 44 + 36 + 256 + 44 + 32)


def test_a_batch_of_several_sizes_is_what_single_pictures_give(tmp_path, pictures, capsys):
    model = "{name: tiny:small_net, preprocess: full}"
    shutil.copy(pictures / "wide.png", pictures / "a_wide.png")
    settings = {"images": pictures, "model": model, "save_arrays": True, "method": "gradient"}
    together = run_explain(tmp_path / "a", **settings)
    said = re.findall(r"^(\w+)\.png:", capsys.readouterr().out, re.MULTILINE)
    assert said == ["a_wide", "less", "tall", "wide"]  # those of one size go through together
    alone = run_explain(tmp_path / "b", batch_size=1, **settings)
    for name in ("wide", "tall", "less"):
        values, single = (np.load(folder / f"{name}_pp.npy") for folder in (together, alone))
        np.testing.assert_allclose(values, single, rtol=1e-4, atol=1e-5 * np.abs(single).max())


def test_a_picture_that_needs_too_much_memory_is_left_out(tmp_path, pictures, monkeypatch, capsys):
    Image.new("RGB", (3000, 1500), "white").save(pictures / "huge.png")
    monkeypatch.setattr("visualize_pd.network.batching.free_memory", lambda: 10**9)
    model = "{name: tiny:small_net, preprocess: full, resolution: 4000}"
    run_explain(tmp_path, code=2, images=pictures / "huge.png", model=model)
    said = capsys.readouterr().err
    assert re.search(r"skipped: .*huge.png: an image of 2,000 × 4,000.*model.resolution", said)


def test_skip_existing_sees_another_preprocess(tmp_path, pictures, capsys):
    settings = {"images": pictures, "skip_existing": True, **TARGET}
    for mode, said in (("pad", ""), ("pad", "3 of 3 images have"), ("full", "another network")):
        run_explain(tmp_path, model=ENERGY.format(mode), **settings)
        assert said in capsys.readouterr().out


@pytest.mark.parametrize("mode", ["resize", "pad", "full"])
def test_localise_follows_preprocess(tmp_path, pictures, mode):
    settings = {
        "images": pictures / "wide.png",
        "output": tmp_path,
        "model": ENERGY.format(mode),
        "method": "saliency",
        "engine": "threshold",
        "smoothing": 0,
        "truth": "null",
        "threshold": 0.5,
        **TARGET,
    }
    assert evaluate_command(["localise", *overrides(settings)]) == 0
    (entry,) = json.loads((tmp_path / "localise/boxes.json").read_text())
    assert np.abs(np.subtract(entry["box"], PATCH)).max() <= 3


@pytest.mark.parametrize("mode", ["resize", "pad", "full"])
def test_measures_follow_preprocess(tmp_path, pictures, mode):
    """The box of the truth lies outside the centre crop. The map is largest in it."""
    truth = tmp_path / "boxes.csv"
    truth.write_text(f"file,x0,y0,x1,y1\nwide.png,{','.join(map(str, PATCH))}\n")
    settings = {
        "images": pictures / "wide.png",
        "output": tmp_path,
        "model": ENERGY.format(mode),
        "methods": "[saliency]",
        "measures": "[pointing_game]",
        "truth": truth,
        **TARGET,
    }
    assert evaluate_command(["methods", *overrides(settings)]) == 0
    (row,) = read_csv(tmp_path / "evaluate/results.csv")
    assert float(row["pointing_game"]) == 1
    sane = {key: settings[key] for key in ("images", "output", "methods", "target")}
    sane["model"] = f"{{name: tiny:small_net, image_size: 32, preprocess: {mode}}}"
    assert evaluate_command(["sanity", *overrides(sane)]) == 0


def test_a_fixed_network_refuses_full_in_one_sentence(run_error):
    changes = {"model": "{name: LeNet, weights: random, preprocess: full}"}
    assert "set model.preprocess to crop, resize or pad" in run_error(EXPLAIN, changes)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"model.preprocess": "pad"}, "for generated images set size"),
        ({"model.mean": "[0, 0, 0, 0]", "model.std": "[1, 1, 1, 1]"}, "three channels or one"),
    ],
)
def test_images_are_generated_without_whole_pictures_or_bands(run_error, changes, sentence):
    assert sentence in run_error(GENERATE, changes)


def test_rows_of_a_sheet_keep_the_shape_of_their_pictures():
    wide, tall = np.full((100, 200, 3), 10, "uint8"), np.full((180, 90, 3), 20, "uint8")
    rows = [("", [("", wide), ("", wide)]), ("", [("", tall), ("", tall)])]
    sheet = np.asarray(render.figure(rows, "", scale=1))
    for value, (height, width) in ((10, (100, 200)), (20, (180, 90))):
        inside = (sheet == value).all(2)
        assert inside.any(1).sum() == height and inside.sum() == 2 * height * width


BANDS = {"mean": [0.1] * 5, "std": [0.3] * 5}


@pytest.fixture
def bands(tmp_path):
    """Two pictures of five channels and one of four."""
    random = np.random.default_rng(0)
    folder = tmp_path / "bands"
    folder.mkdir()
    np.save(folder / "a.npy", random.random((50, 70, 5), dtype="float32"))
    np.save(folder / "b.npy", random.integers(0, 60000, (60, 50, 5), dtype="uint16"))
    np.save(folder / "c.npy", np.zeros((50, 70, 4), "uint8"))
    return folder


@pytest.mark.parametrize("mode", ["crop", "resize", "pad", "full"])
def test_pictures_of_five_channels(tmp_path, bands, capsys, mode):
    model = {"name": "tiny:bands_net", "image_size": 32, "preprocess": mode, **BANDS}
    settings = {"model": json.dumps(model), "save_arrays": True, "method": "gradient"}
    folder = run_explain(tmp_path, images=bands / "*.npy", code=1, **settings, report=True)
    shape = (5, 32, 32) if mode == "crop" else (5, 50, 70)
    assert np.load(folder / "a_pp.npy").shape == shape
    assert (folder / "b_pp.jpg").is_file() and not (folder / "c_pp.jpg").exists()
    assert "c.npy has 4 channels, but the network takes 5" in capsys.readouterr().err


@pytest.mark.parametrize("method", [each for each in METHODS if each not in ATTENTION_METHODS])
def test_every_method_takes_five_channels(bands, method):
    classifier = load_model("tiny:bands_net", image_size=32, **BANDS)
    few = {"rise": {"masks": 8}, "smooth_grad": {"samples": 2}, **OPTIONS}
    options = few.get(method, {})
    figure = explain_image(classifier, bands / "a.npy", {"name": method, **options}, target=1)
    assert figure.width == 3 * 320 + 4 * 32  # the picture, the map, the overlay


def test_a_map_of_five_channels_shows_the_largest_of_them():
    maps = np.zeros((5, 8, 8))
    maps[4, 2, 3], maps[1, 5, 6] = -2, 1
    panels = render.map_panels(np.zeros((8, 8, 3), "uint8"), maps, maps, ("by channel", "Gradient"))
    assert [title for title, _ in panels] == [
        "Input image",
        "Gradient: largest of 5 channels",
        "Overlay",
    ]
    expected = np.zeros((8, 8))
    expected[2, 3], expected[5, 6] = 2, 1
    np.testing.assert_array_equal(panels[1][1], render.heat(expected))
