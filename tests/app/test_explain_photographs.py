"""Method 1 with the packaged network on real photographs: right classes, maps on the object."""

import numpy as np
import pytest
from app_helpers import EXPLAIN, LITE, ROOT, overrides, read_csv, run_explain
from PIL import Image

from visualize_pd import METHODS, explain_image, find_images, load_image, load_model, saliency
from visualize_pd.core import images

PHOTOGRAPHS = ROOT / "content/images"


def test_method_1_explains_the_photographs(run_script, tmp_path):
    """The first command of README, without internet: the fallback is used, and this is said."""
    arguments = ["--config", ROOT / "configs/saliency.yaml", *overrides({"output": tmp_path})]
    offline = {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
    done = run_script(EXPLAIN, *arguments, env=offline)
    assert done.returncode == 0, done.stderr
    assert "EfficientNet-Lite0 stands in for AlexNet" in done.stderr
    photographs = find_images(str(PHOTOGRAPHS))
    assert len(photographs) >= 8
    lines = done.stdout.splitlines()
    assert len(lines) == len(photographs)
    for photograph, line in zip(photographs, lines):
        figure = tmp_path / "method_1" / f"{photograph.stem}_pp.jpg"
        assert line.startswith(f"{photograph.name}: ") and line.endswith(str(figure))
        assert line.count("%") == 5
        with Image.open(figure) as picture:
            assert picture.size[0] > 4 * 448
    assert len(list((tmp_path / "method_1").iterdir())) == len(photographs) + 1  # and summary.csv


@pytest.fixture(scope="module")
def boxes():
    """A row for each photograph: file, class, and the box around the object, drawn by hand."""
    return read_csv(PHOTOGRAPHS / "boxes.csv")


def photograph_and_box(row, classifier):
    """A photograph, and where its box lies in the image that the network sees."""
    photograph = load_image(PHOTOGRAPHS / row["file"])
    mask = Image.new("L", photograph.size)
    mask.paste(255, tuple(int(row[key]) for key in ("x0", "y0", "x1", "y1")))
    return photograph, np.asarray(images.crop(mask, classifier.image_size, classifier.resize)) > 127


def test_packaged_network_predicts_the_class_of_the_photographs(boxes):
    classifier = load_model("efficientnet_lite0")
    paths = [PHOTOGRAPHS / row["file"] for row in boxes]
    batch = classifier.prepare([load_image(path) for path in paths])
    predicted = classifier.network(batch).numpy().argmax(1)
    hits = [int(row["class"]) == index for row, index in zip(boxes, predicted)]
    assert len(hits) >= 8 and sum(hits) >= len(hits) - 1


def test_saliency_lies_on_the_object(boxes):
    """The mean is higher inside the box than outside. A flipped or transposed map would fail."""
    classifier = load_model("efficientnet_lite0")
    denser = 0
    for row in boxes:
        photograph, inside = photograph_and_box(row, classifier)
        batch = classifier.prepare([photograph])
        heat = saliency(classifier.network, batch, int(row["class"])).numpy()[0, 0]
        denser += heat[inside].mean() > 1.2 * heat[~inside].mean() if (~inside).any() else 1
    assert denser >= len(boxes) - 1


def test_grad_cam_is_highest_on_the_object(boxes):
    classifier = load_model("efficientnet_lite0")
    hits = 0
    for row in boxes:
        photograph, inside = photograph_and_box(row, classifier)
        batch = classifier.prepare([photograph])
        heat = METHODS["grad_cam"](classifier.network, batch, int(row["class"])).numpy()[0, 0]
        hits += inside[np.unravel_index(heat.argmax(), heat.shape)]
    assert len(boxes) >= 8 and hits >= 0.75 * len(boxes)


def test_input_panel_and_saved_array_show_what_the_network_sees(tmp_path, photograph):
    path = photograph("photo.png", 300, 280)
    folder = run_explain(tmp_path, images=path, target="flamingo", save_arrays="true", **LITE)
    classifier = load_model("efficientnet_lite0")
    picture = classifier.crop(load_image(path))
    figure = np.asarray(Image.open(folder / "photo_pp.jpg").convert("RGB"))
    panel = Image.fromarray(figure[76 : 76 + 448, 32 : 32 + 448]).resize((224, 224))
    assert np.abs(np.asarray(panel).astype(int) - np.asarray(picture)).mean() < 3
    expected = saliency(classifier.network, classifier.prepare([load_image(path)]), 130)
    array = np.load(folder / "photo_pp.npy", allow_pickle=False)
    np.testing.assert_allclose(array, expected.numpy()[0], rtol=1e-4)


def test_requested_class_is_printed_with_its_probability(tmp_path, capsys):
    run_explain(tmp_path, images=PHOTOGRAPHS / "giant_panda.jpg", target="flamingo", **LITE)
    line = capsys.readouterr().out
    assert line.startswith("giant_panda.jpg: flamingo 0.0% (top 5: giant panda 9")


def test_explain_image_returns_the_figure_of_the_script(tmp_path):
    path = PHOTOGRAPHS / "red_panda.jpg"
    folder = run_explain(tmp_path, images=path, method="grad_cam", target="[387, 277]", **LITE)
    figure = explain_image(load_model("efficientnet_lite0"), path, "grad_cam", [387, 277])
    with Image.open(folder / "red_panda_pp.jpg") as written:
        assert written.size == figure.size
        difference = np.asarray(written).astype(int) - np.asarray(figure)
    assert np.abs(difference).mean() < 2
