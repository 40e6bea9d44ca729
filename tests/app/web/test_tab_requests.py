"""The tabs that generate, look into the network and measure, as a browser talks to them."""

import base64
import gc
import html
import io
import re
import time
import zipfile

import numpy as np
import pytest
from page_visitor import Visitor, png
from PIL import Image

import visualize_pd as vp
from visualize_pd.app.config.schema import ExplainConfig
from visualize_pd.app.web.launch import launch, make_app
from visualize_pd.app.web.live import generation
from visualize_pd.app.web.tabs import generate
from visualize_pd.evaluate import deletion, insertion
from visualize_pd.models.config import ModelConfig


def value_of(output):
    """The value of a component, which may come as an update."""
    return output["value"] if isinstance(output, dict) else output


def files_of(page):
    """The files in the links of a page, by their names."""
    links = re.findall(r'<a download="([^"]+)" href="data:[^;]+;base64,([^"]+)"', page)
    return {html.unescape(name): base64.b64decode(data) for name, data in links}


def captions(page):
    return re.findall(r"<figcaption>([^<]*)</figcaption>", page)


def make(visitor, objective="class_image", **values):
    visitor.do("objective", "input", objective=objective)
    return visitor.do("make", "click", **values)


def test_class_is_generated_with_its_score_and_its_files(visitor):
    view, _ = make(visitor, make_class=2, steps=30)
    assert captions(view)[0] == "class 2: all 30 steps"
    assert view.count("<polyline") == 2 and "data:image/gif;base64," in view
    files = files_of(visitor.do("make_files", "click")[0])
    assert list(files) == ["class_2.gif", "class_2.png", "class_2.yaml", "class_2.zip"]
    with Image.open(io.BytesIO(files["class_2.gif"])) as film:
        assert film.n_frames == 31
    with zipfile.ZipFile(io.BytesIO(files["class_2.zip"])) as archive:
        inside = archive.read("class_2/images/method_2/class_2/class_2.gif")
        assert inside == files["class_2.gif"]
        assert archive.read("class_2/class_2.yaml") == files["class_2.yaml"]


def test_stop_keeps_what_is_there(visitor):
    run = visitor.do("make", "click", wait=False, make_class=1, steps=1000)
    assert not visitor.function("make_stop", "click")[1].queue  # it must not wait for the run
    for _ in range(4):  # on a slow machine the run begins late
        time.sleep(0.3)
        visitor.do("make_stop", "click", wait=False)
    view, _ = visitor.result(run)
    step = int(re.search(r"class 1: stopped at step (\d+)", view)[1])
    assert 0 < step < 1000
    (shown,) = visitor.do("make_files", "click")
    assert "--resume" in shown
    with zipfile.ZipFile(io.BytesIO(files_of(shown)["class_1.zip"])) as archive:
        assert "class_1/images/method_2/class_1/state.safetensors" in archive.namelist()


def test_abandoned_run_ends_and_leaves_no_file(tiny_page, monkeypatch):
    page, address = tiny_page
    gone, other, folders = Visitor(page, address), Visitor(page, address), []

    class Noted(generation.Folder):
        def __init__(self):
            super().__init__()
            folders.append(self.path)

    monkeypatch.setattr(generate, "Folder", Noted)
    with gone.present():
        gone.do("make", "click", wait=False, make_class=1, steps=1000)
        while not folders or not list(folders[0].rglob("*.png")):
            time.sleep(0.05)
    started = time.monotonic()
    make(other, make_class=0, steps=2)  # it does not wait for a thousand steps
    assert time.monotonic() - started < 5
    gc.collect()
    assert not folders[0].exists() and folders[1].exists()


def test_app_with_an_output_folder_keeps_the_files(tmp_path):
    model = ModelConfig(name="tiny:small_net", image_size=32)
    page = make_app(ExplainConfig(images=[], model=model, output=str(tmp_path / "out")))
    visitor = Visitor(page, launch(page, "127.0.0.1"))
    make(visitor, make_class=2, steps=2)
    kept = (tmp_path / "out/method_2/class_2/class_2.gif").read_bytes()
    assert files_of(visitor.do("make_files", "click")[0])["class_2.gif"] == kept
    page.close()


def test_channel_is_chosen_on_a_sheet(visitor):
    visitor.bring("a.png", png())
    visitor.do("objective", "input", objective="filter")
    (sheet,) = visitor.do("show_channels", "click", make_layer="2")
    assert re.findall(r'data-name="channel" data-value="(\d+)"', sheet) == list("01234567")
    assert sheet.count("<img") == 16
    number, view, _ = visitor.do("channels", "press", {"channel": 5}, make_layer="2", steps=3)
    assert number == 5 and captions(view)[0] == "channel 5 of layer 2: all 3 steps"
    for wrong in (8, -1, "x", None):
        with pytest.raises(RuntimeError, match="Channel must be a whole number from 0 to 7"):
            visitor.do("channels", "press", {"channel": wrong})


@pytest.mark.parametrize("objective", ["deep_dream", "inversion"])
def test_picture_of_the_first_tab_is_the_start(visitor, objective):
    with pytest.raises(RuntimeError, match="choose a picture on the tab Explain first"):
        make(visitor, objective, make_layer="2", steps=2)
    visitor.bring("a.png", png())
    view, _ = make(visitor, objective, make_layer="2", steps=2)
    assert "layer 2" in captions(view)[0]
    name = {"deep_dream": "dream_2", "inversion": "inversion_2"}[objective]
    files = files_of(visitor.do("make_files", "click")[0])
    with zipfile.ZipFile(io.BytesIO(files[f"{name}.zip"])) as archive:
        assert archive.read(f"{name}/photo.png") == png()


def test_fields_follow_what_is_made(visitor):
    target, layer, *rest, steps = visitor.do("objective", "input", objective="filter")
    assert not target["visible"] and layer["visible"] and all(each["visible"] for each in rest)
    assert [name for name, _ in layer["choices"]] == ["0", "1", "2", "3", "4"]
    assert value_of(steps) == 128
    target, layer, *rest, _ = visitor.do("objective", "input", objective="class_image")
    assert target["visible"] and not any(each["visible"] for each in (layer, *rest))


@pytest.mark.parametrize(
    "values",
    [
        {"objective": "weights"},
        {"objective": "filter", "make_layer": "../x"},
        {"objective": "filter", "make_layer": "2", "make_channel": 99},
        {"make_class": 3},
        {"steps": 0},
        {"steps": 10**9},
        {"seed": -1},
    ],
)
def test_what_no_control_offers_is_refused(visitor, values):
    with pytest.raises(RuntimeError) as caught:
        visitor.do("make", "click", **{"make_class": 1, "steps": 3, **values})
    assert "Traceback" not in str(caught.value) and "log of the server" not in str(caught.value)


def test_layer_shows_what_its_channels_see(visitor):
    (view,) = visitor.do("layers", "press", {"layer": 2})
    assert view.count("<img") == 8 and "Choose a picture" in view
    visitor.bring("a.png", png())
    (view,) = visitor.do("layers", "press", {"layer": 0})
    assert "Layer 0, channels 0 to 3 of 4" in view and view.count("<img") == 8
    classifier = vp.load_model("tiny:small_net", image_size=32)
    image = classifier.prepare([Image.open(io.BytesIO(png()))])
    largest = classifier.network[0](image)[0].numpy().max(axis=(1, 2))
    for channel, value in enumerate(largest):
        assert f"channel {channel} · {value:.3g}" in view
    with pytest.raises(RuntimeError, match="no maps of the image"):
        visitor.do("layers", "press", {"layer": 6})
    for wrong in (7, -1, "0", None):
        with pytest.raises(RuntimeError, match="no such layer"):
            visitor.do("layers", "press", {"layer": wrong})


def test_next_channels_begin_anew_after_the_last(visitor):
    with pytest.raises(RuntimeError, match="choose a layer first"):
        visitor.do("seen_more", "click")
    visitor.do("layers", "press", {"layer": 2})
    (view,) = visitor.do("seen_more", "click")
    assert "channels 0 to 7 of 8" in view


def test_maps_are_measured_as_by_the_script(visitor):
    with pytest.raises(RuntimeError, match="explain a picture on the first tab"):
        visitor.do("measure", "click")
    visitor.bring("a.png", png(), methods=["grad_cam", "gradient"])
    visitor.do("guesses", "press", {"class": 0}, methods=["grad_cam", "gradient"])
    (view,) = visitor.do("measure", "click", points=20)
    classifier = vp.load_model("tiny:small_net", image_size=32)
    image = classifier.prepare([Image.open(io.BytesIO(png()))])
    rows = re.findall(r'<th scope="row">[^<]*</th><td>([\d.]+)</td><td>([\d.]+)</td>', view)
    for row, method in zip(rows, ("grad_cam", "gradient")):
        one = vp.METHODS[method](classifier.network, image, 0)
        expected = [
            measure(classifier.network, image, one, 0, steps=20).areas[0]
            for measure in (insertion, deletion)
        ]
        np.testing.assert_allclose([float(cell) for cell in row], expected, atol=6e-4)
    assert len(rows) == 2 and view.count("<polyline") == 4 and "<progress" not in view


def test_two_people_do_not_see_each_other(tiny_page, visitor):
    other = Visitor(*tiny_page, language="zh-CN")
    view, _ = make(visitor, make_class=2, steps=2)
    assert "all 2 steps" in view
    with pytest.raises(RuntimeError, match="请先生成一张图像"):
        other.do("make_files", "click")
    view, _ = make(other, make_class=0, steps=2)
    assert "共 2 步，已完成" in view
    (shown,) = visitor.do("make_files", "click")
    assert set(files_of(shown)) == {"class_2.gif", "class_2.png", "class_2.yaml", "class_2.zip"}


def test_language_changes_what_is_shown(visitor):
    make(visitor, make_class=2, steps=2)
    visitor.do("layers", "press", {"layer": 0})
    shown = "".join(map(str, visitor.do("language", "input", language="zh")))
    assert "共 2 步，已完成" in shown and "层 0，通道 0 至 3，共 4 个" in shown
    assert "all 2 steps" not in shown and "Layers of the network" not in shown
