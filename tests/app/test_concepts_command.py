"""`visualize-pd concepts`: the files that it writes, and what it says about wrong configs."""

import sys

import numpy as np
import paddle
import pytest
import safetensors.numpy
from app_helpers import ROOT, overrides, read_csv
from PIL import Image

import visualize_pd as vp
from visualize_pd import concepts, load_model
from visualize_pd.app.commands.main import main
from visualize_pd.app.concepts.images import concept_images, image_settings
from visualize_pd.core.images import crop

QUICK = {
    "model": "{name: tiny:small_net, image_size: 32}",
    "target": "1",
    "concepts": "3",
    "shown": "2",
    "samples": "8",
    "new_images": "null",
}
IMAGE = "{iterations: 2, size: 24, priors: {shift: 1}}"


@pytest.fixture
def run(tmp_path, tests_folder, photograph):
    """Run the command on two pictures; return the folder of the run."""

    def run(code=0, **settings):
        photographs = [photograph("a.png", 60, 40), photograph("b.png", 48, 90)]
        images = f"[{', '.join(map(str, photographs))}]"
        keys = {**QUICK, "output": tmp_path, "images": images, **settings}
        arguments = ["concepts", "--config", str(ROOT / "configs/concepts.yaml")]
        assert main([*arguments, *overrides(keys)]) == code
        return tmp_path / "concepts/class_1"

    return run


def test_files_of_a_run(run):
    folder = run(image=IMAGE)
    parts = [f"concept_{n}_{part}" for n in (1, 2, 3) for part in ("crops.jpg", "maps.jpg")]
    images = [f"concept_{n}_image.png" for n in (1, 2, 3)]
    whole = ["concepts.safetensors", "index.html", "sheet.jpg", "summary.csv"]
    assert sorted(path.name for path in folder.iterdir()) == sorted([*parts, *images, *whole])
    page = (folder / "index.html").read_text(encoding="utf-8")
    # The sheet, and three pictures for each concept that has crops of its own.
    assert page.count("data:image/jpeg") == 10 and "concepts of class 1 (1)" in page
    (folder / "concept_notes.txt").write_text("mine")
    run(image="null", concepts="2")
    assert len(list(folder.glob("concept_[0-9]*"))) == 4  # none of the earlier run is left
    assert (folder / "concept_notes.txt").read_text() == "mine"


def test_arrays_are_those_of_the_call_in_python(run, tmp_path):
    folder = run(image="null")
    classifier = load_model("tiny:small_net", image_size=32)
    pictures = [
        crop(vp.load_image(tmp_path / name), 64, 2 * classifier.resize, classifier.resample)
        for name in ("a.png", "b.png")
    ]
    images = vp.to_tensor(pictures, classifier.mean, classifier.std)
    found = concepts(classifier.network, images, 1, count=3, size=32, samples=8)
    arrays = safetensors.numpy.load_file(folder / "concepts.safetensors")
    for name in ("factors", "importance", "coefficients"):
        np.testing.assert_allclose(arrays[name], getattr(found, name).numpy(), atol=1e-5)
    rows = read_csv(folder / "summary.csv")
    importance = {row["concept"]: float(row["importance"]) for row in rows}
    np.testing.assert_allclose(list(importance.values()), found.importance.numpy(), atol=1e-5)


def test_boxes_in_the_summary_are_in_the_pixels_of_the_file(run):
    """A box has the share `crop` of the centre square, whose side is 32/36 of the shorter side."""
    folder = run(image="null", crop="0.5")
    rows = read_csv(folder / "summary.csv")
    size = {"a.png": (60, 40), "b.png": (48, 90)}
    assert {row["file"].rpartition("/")[2] for row in rows} == set(size)
    share = 32 / load_model("tiny:small_net", image_size=32).resize
    for row in rows:
        width, height = size[row["file"].rpartition("/")[2]]
        left, top, right, bottom = (int(row[key]) for key in ("left", "top", "right", "bottom"))
        square = share * min(width, height)
        assert right - left == pytest.approx(square / 2, abs=1)
        assert bottom - top == pytest.approx(square / 2, abs=1)
        offsets = [(left - (width - square) / 2), (top - (height - square) / 2)]
        assert all(-1 <= offset <= square / 2 + 1 for offset in offsets)


def test_maps_are_shown_on_new_pictures(run, photograph):
    folder = run(image="null", new_images=photograph("new.png", 50, 50))
    with Image.open(folder / "concept_1_maps.jpg") as strip:
        assert strip.size == (32, 32)  # one map, and two crops
    with Image.open(folder / "concept_1_crops.jpg") as strip:
        assert strip.size == (64, 32)


def test_a_picture_that_cannot_be_used_is_skipped(run, photograph, capsys):
    good, small = photograph("good.png", 60, 40), photograph("small.png", 16, 16)
    run(code=1, images=f"[{good}, {small}, missing.png]", image="null")
    errors = capsys.readouterr().err
    assert "small.png is too small" in errors and "no such image: missing.png" in errors


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"images": "[empty]"}, "holds no pictures"),
        ({"concepts": "9"}, "9 concepts are more than the 8 channels of the layer"),
        ({"concepts": "7", "most_crops": "5"}, "7 concepts are more than the 4 crops"),
        ({"layer": "77"}, "no layer '77'"),
        ({"layer": "0"}, "layer '0' returns negative numbers"),
        ({"target": "3"}, "class 3 does not exist"),
        ({"crop": "2"}, "crop must be at most 1"),
        ({"image": "{iteration: 3}"}, "unknown key 'image.iteration'; did you mean 'iterations'?"),
        ({"image": "{iterations: 0}"}, "image.iterations must be at least 1"),
        ({"score": "logits"}, "unknown score 'logits'"),
        ({"model.preprocess": "pad"}, "leave out model.preprocess"),
        ({"new_images": "none.png"}, "no image could be used"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_wrong_configs_are_refused_in_a_sentence(
    command_error, tests_folder, photograph, tmp_path, monkeypatch, settings, message
):
    picture = photograph("a.png", 60, 40)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    images = f"[{picture}, {photograph('b.png', 60, 40)}]"
    keys = {**QUICK, "images": images, "image": "null", "output": "out", **settings}
    if "new_images" in settings:  # the picture that is skipped has a line of its own
        with pytest.raises(AssertionError, match=message):
            command_error("concepts", *overrides(keys))
    else:
        assert message in command_error("concepts", *overrides(keys))


def test_a_missing_extra_is_named_before_anything_else(command_error, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.decomposition", None)
    assert 'pip install -e ".[concepts]"' in command_error("concepts")


def test_images_do_not_depend_on_the_scale_of_the_layer(tests_folder):
    """The layer returns 64 times as much, so the coefficients are 64 times as large."""
    classifier = load_model("tiny:small_net", image_size=32)
    pictures = paddle.to_tensor(np.random.default_rng(0).normal(size=(2, 3, 32, 32)), "float32")
    found = concepts(classifier.network, pictures, 1, count=2, layer="3", samples=8)
    settings = image_settings({"iterations": 8, "learning_rate": 0.1, "priors": {"shift": 1}})
    first = concept_images(classifier, found, settings).astype(int)
    for parameter in classifier.network[2].parameters():
        parameter.set_value(parameter * 64)
    larger = found._replace(coefficients=found.coefficients * 64)
    again = concept_images(classifier, larger, settings).astype(int)
    assert first.std() > 5 and np.abs(first - again).max() <= 2


def test_each_concept_of_two_animals_lies_on_one_of_them():
    """Of a red panda and a macaw, with the real weights of EfficientNet-Lite0."""
    classifier = load_model("efficientnet_lite0")
    names = ("red_panda", "scarlet_macaw")
    pictures = [vp.load_image(ROOT / f"content/images/{name}.jpg") for name in names]
    images = classifier.prepare(pictures)
    found = concepts(classifier.network, images, 88, count=4, crop=0.5, samples=16)
    heat = found.maps(images).sum(axis=[2, 3]).numpy()
    shares = heat / heat.sum(axis=0)
    assert (shares.max(axis=0) > 0.85).all() and {*shares.argmax(axis=0)} == {0, 1}
