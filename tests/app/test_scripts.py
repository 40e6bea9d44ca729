"""Both scripts from end to end, offline, mostly on the packaged weights."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import paddle
import pytest
from PIL import Image

from visualize_pd import (
    METHODS,
    VisualizeError,
    explain_image,
    find_images,
    load_image,
    load_model,
    saliency,
)
from visualize_pd.app.commands.scripts import explain_command, generate_command
from visualize_pd.app.config.reading import load_config
from visualize_pd.app.config.schema import ExplainConfig
from visualize_pd.app.drawing import captions
from visualize_pd.attribution.configured import configure_method
from visualize_pd.core import images

ROOT = Path(__file__).parents[2]
SALIENCY, CLASS_IMAGE = ROOT / "configs/saliency.yaml", ROOT / "configs/class_image.yaml"
LITE = ["-o", "model=efficientnet_lite0"]
TINY = ["-o", "model={name: tiny:small_net, num_classes: 200, image_size: 32}"]


def explain(*arguments):
    return explain_command(SALIENCY, list(map(str, arguments)))


def generate(*arguments):
    return generate_command(CLASS_IMAGE, list(map(str, arguments)))


def test_method_1_explains_the_photographs(run_script, tmp_path):
    """The default config, as in README, without a network: the fallback steps in and says so."""
    done = run_script(
        "method_1_pp.py",
        "--config",
        SALIENCY,
        "-o",
        f"output={tmp_path}",
        env={"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"},
    )
    assert done.returncode == 0, done.stderr
    assert "EfficientNet-Lite0 stands in for AlexNet" in done.stderr
    photographs = find_images(str(ROOT / "content/images"))
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
    with open(ROOT / "content/images/boxes.csv", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_packaged_network_names_the_photographs(boxes):
    classifier = load_model("efficientnet_lite0")
    paths = [ROOT / "content/images" / row["file"] for row in boxes]
    batch = classifier.prepare([load_image(path) for path in paths])
    predicted = classifier.network(batch).numpy().argmax(1)
    hits = [int(row["class"]) == index for row, index in zip(boxes, predicted)]
    assert len(hits) >= 8 and sum(hits) >= len(hits) - 1


def test_saliency_lies_on_the_object(boxes):
    """Denser inside the hand-drawn box than outside: a flipped or transposed map is not."""
    classifier = load_model("efficientnet_lite0")
    size, resize = classifier.image_size, classifier.resize
    denser = 0
    for row in boxes:
        photograph = load_image(ROOT / "content/images" / row["file"])
        mask = Image.new("L", photograph.size)
        mask.paste(255, tuple(int(row[key]) for key in ("x0", "y0", "x1", "y1")))
        inside = np.asarray(images.crop(mask, size, resize)) > 127
        batch = classifier.prepare([photograph])
        heat = saliency(classifier.network, batch, int(row["class"])).numpy()[0, 0]
        denser += heat[inside].mean() > 1.2 * heat[~inside].mean() if (~inside).any() else 1
    assert denser >= len(boxes) - 1


def test_input_panel_and_array_are_the_networks_view(tmp_path, photograph):
    path = photograph("photo.png", 300, 280)
    assert explain("-o", f"images={path}", "-o", f"output={tmp_path}", "-o", "target=flamingo",
                   "-o", "save_arrays=true", *LITE) == 0  # fmt: skip
    classifier = load_model("efficientnet_lite0")
    picture = classifier.crop(load_image(path))
    figure = np.asarray(Image.open(tmp_path / "method_1/photo_pp.jpg").convert("RGB"))
    panel = Image.fromarray(figure[76 : 76 + 448, 32 : 32 + 448]).resize((224, 224))
    assert np.abs(np.asarray(panel).astype(int) - np.asarray(picture)).mean() < 3
    expected = saliency(classifier.network, classifier.prepare([load_image(path)]), 130)
    array = np.load(tmp_path / "method_1/photo_pp.npy", allow_pickle=False)
    np.testing.assert_allclose(array, expected.numpy()[0], rtol=1e-4)


def test_asked_class_is_named_with_its_probability(tmp_path, capsys):
    panda = ROOT / "content/images/giant_panda.jpg"
    explain("-o", f"images={panda}", "-o", f"output={tmp_path}", "-o", "target=flamingo", *LITE)
    line = capsys.readouterr().out
    assert line.startswith("giant_panda.jpg: flamingo 0.0% (top 5: giant panda 9")


def test_one_forward_pass_for_each_batch(tmp_path, photograph, monkeypatch):
    monkeypatch.chdir(ROOT / "tests")
    calls = []
    relu = paddle.nn.ReLU.forward
    monkeypatch.setattr(paddle.nn.ReLU, "forward", lambda *a: calls.append(1) or relu(*a))
    names = [photograph(f"{i}.png") for i in range(5)]
    sources = ", ".join(map(str, names))
    assert explain("-o", f"images=[{sources}]", "-o", f"output={tmp_path}", "-o", "batch_size=2",
                   *TINY) == 0  # fmt: skip
    assert len(calls) == 2 * 3  # two ReLU layers, three batches


def test_own_method_needs_no_more_than_its_line(tmp_path, photograph, monkeypatch):
    """As README says: a function in the table, without the options of the gradient family."""

    def brightest_row(network, batch, targets=None, *, row=0):
        network(batch)
        return paddle.nn.functional.one_hot(paddle.full([1, 1, 32], row, "int64"), 32)

    monkeypatch.chdir(ROOT / "tests")
    monkeypatch.setitem(METHODS, "brightest_row", brightest_row)
    assert explain("-o", f"images={photograph('p.png')}", "-o", f"output={tmp_path}",
                   "-o", "method={name: brightest_row, row: 3}", "-o", "save_arrays=true",
                   *TINY) == 0  # fmt: skip
    array = np.load(tmp_path / "method_1/p_pp.npy", allow_pickle=False)
    np.testing.assert_array_equal(array, np.eye(32)[None, [3] * 32])


def test_equal_names_from_two_folders_do_not_overwrite(tmp_path, photograph, monkeypatch):
    monkeypatch.chdir(ROOT / "tests")
    first = photograph("same.png")
    second = tmp_path / "other" / "same.jpg"
    second.parent.mkdir()
    shutil.copy(first, second)
    explain("-o", f"images=[{first}, {second}]", "-o", f"output={tmp_path}", *TINY)
    written = sorted(path.name for path in (tmp_path / "method_1").iterdir())
    assert written == ["same_2_pp.jpg", "same_pp.jpg", "summary.csv"]


def test_method_2_generates_a_flamingo(run_script, tmp_path):
    done = run_script(
        "method_2_pp.py", "-o", "iterations=40", "-o", "frames.every=10",
        "-o", f"output={tmp_path}", *LITE, timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "score=" in done.stderr  # the progress bar
    folder = tmp_path / "method_2/class_130"
    frames = [folder / f"pp/c_130_iter_{i}_pp.png" for i in (0, 10, 20, 30, 40)]
    assert sorted((folder / "pp").iterdir()) == sorted(frames)
    record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    assert record["class"] == "flamingo" and record["complete"]
    assert record["config"]["lambda"] == 0.0008 and record["config"]["iterations"] == 40
    assert record["versions"]["paddle"] == paddle.__version__
    assert record["network"] == "EfficientNet-Lite0"
    classifier = load_model("efficientnet_lite0")
    for row, path in zip(record["frames"], frames):
        assert folder / row["file"] == path
        pixels = images.to_tensor([Image.open(path)], classifier.mean, classifier.std)
        logits = classifier.network(pixels).numpy()[0]  # of the picture, rounded to 8 bits
        assert row["score"] == pytest.approx(logits[130], abs=0.5)
    assert record["final_score"] > record["frames"][0]["score"] + 5
    assert record["final_probability"] > 0.5
    with Image.open(folder / "class_130.gif") as gif:
        assert gif.n_frames == 5 and gif.info["loop"] == 0
        for i, path in enumerate(frames):
            gif.seek(i)
            assert gif.info["duration"] == (2000 if i == 4 else 200)
            shown = np.asarray(gif.convert("RGB")).astype(int)
            assert np.abs(shown - np.asarray(Image.open(path))).mean() < 8
    assert Image.open(folder / "class_130.png").size[0] >= 448


def test_class_image_starts_from_a_picture(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT / "tests")
    panda = ROOT / "content/images/giant_panda.jpg"
    assert generate("-o", f"init={panda}", "-o", "iterations=1", "-o", f"output={tmp_path}",
                    *TINY) == 0  # fmt: skip
    start = np.asarray(Image.open(tmp_path / "method_2/class_130/pp/c_130_iter_0_pp.png"))
    expected = images.crop(load_image(panda), 32, round(32 * 256 / 224), "bilinear")
    assert np.abs(start.astype(int) - np.asarray(expected)).max() <= 1


@pytest.mark.parametrize(("init", "deviation"), [("grey", 0), ("noise", 0.2 * 0.226 * 255)])
def test_class_image_starts_from_grey_or_noise(tmp_path, monkeypatch, init, deviation):
    monkeypatch.chdir(ROOT / "tests")
    generate("-o", f"init={init}", "-o", "init_std=0.2", "-o", "iterations=1",
             "-o", f"output={tmp_path}", *TINY)  # fmt: skip
    start = np.asarray(Image.open(tmp_path / "method_2/class_130/pp/c_130_iter_0_pp.png"))
    np.testing.assert_allclose(start.mean((0, 1)), np.multiply(images.IMAGENET_MEAN, 255), atol=2)
    assert (start - start.mean((0, 1))).std() == pytest.approx(deviation, rel=0.1, abs=0.01)


def test_same_seed_gives_the_same_files(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT / "tests")
    for folder in ("a", "b"):
        generate("-o", "iterations=8", "-o", f"output={tmp_path / folder}", *TINY)
    names = [f"pp/c_130_iter_{i}_pp.png" for i in (0, 8)] + ["class_130.gif", "class_130.png"]
    for name in names:
        first, second = (tmp_path / f / "method_2/class_130" / name for f in ("a", "b"))
        assert first.read_bytes() == second.read_bytes()


def test_frames_of_an_earlier_run_do_not_stay(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT / "tests")
    folder = tmp_path / "method_2/class_130/pp"
    for iterations in (9, 4):
        generate("-o", f"iterations={iterations}", "-o", f"output={tmp_path}", *TINY)
        (folder / "c_130_iter_x_notes.png").write_text("a person's own file")
    written = sorted(path.name for path in folder.iterdir())
    assert written == ["c_130_iter_0_pp.png", "c_130_iter_4_pp.png", "c_130_iter_x_notes.png"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_ascent_keeps_what_was_made(tmp_path, number):
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "method_2_pp.py"), "-o", "iterations=100000",
         "-o", "frames.every=100", "-o", f"output={tmp_path}", *TINY],
        cwd=ROOT / "tests", stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    folder = tmp_path / "method_2/class_130"
    deadline = time.time() + 60
    while not (folder / "pp/c_130_iter_100_pp.png").exists() and time.time() < deadline:
        time.sleep(0.05)
    process.send_signal(number)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    made = record["frames"][-1]["iteration"]
    assert not record["complete"] and 100 <= made < 100000
    with Image.open(folder / "class_130.gif") as gif:
        assert gif.n_frames == len(record["frames"]) == len(list((folder / "pp").iterdir()))
    assert not list(tmp_path.rglob("*.partial"))
    assert f"{made} iterations" in output


@pytest.mark.parametrize("script", ["method_1_pp.py", "method_2_pp.py"])
def test_help_shows_examples(run_script, script):
    done = run_script(script, "--help")
    assert done.returncode == 0 and f"python {script}" in done.stdout and "-o" in done.stdout


@pytest.mark.parametrize("script", ["method_1_pp.py", "method_2_pp.py"])
def test_without_paddle_the_extras_are_named(script, tmp_path):
    """A `paddle` that cannot be found, as on a machine without one."""
    code = (
        "import sys, runpy; sys.modules.pop('paddle', None)\n"
        "class Hide:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'paddle': raise ModuleNotFoundError('no module paddle', name=name)\n"
        f"sys.meta_path.insert(0, Hide()); sys.path.insert(0, {str(ROOT)!r})\n"
        f"sys.argv = ['x']; runpy.run_path({str(ROOT / script)!r}, run_name='__main__')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("error: PaddlePaddle is not installed")
    assert ".[cpu]" in done.stderr and ".[gpu]" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("method", "titles"),
    [
        ("saliency", ("Gradients across RGB channels", "Max gradients")),
        ({"name": "saliency", "channel": "sum", "sign": "negative"},
         ("Gradients across RGB channels", "Sum of negative gradients")),
        ({"name": "gradient", "sign": "positive"},
         ("Positive gradients across RGB channels", "Gradients")),
        ({"name": "grad_times_input", "channel": "sum"},
         ("Gradient x input across RGB channels", "Sum of signed gradient x input")),
    ],
)  # fmt: skip
def test_titles_say_what_the_panels_show(method, titles):
    found = configure_method(method).panel_titles()
    assert found == titles
    assert set("".join(found)) <= captions._OWN_LETTERS


def test_sign_shows_in_the_figure_by_channel(tmp_path, photograph, monkeypatch):
    monkeypatch.chdir(ROOT / "tests")
    path = photograph("p.png")
    for sign in ("signed", "positive"):
        explain("-o", f"images={path}", "-o", f"output={tmp_path / sign}",
                "-o", f"method={{name: gradient, sign: {sign}}}", *TINY)  # fmt: skip
    first, second = (
        np.asarray(Image.open(tmp_path / sign / "method_1/p_pp.jpg")).astype(int)[76:, 500:]
        for sign in ("signed", "positive")
    )
    assert np.abs(first[:300, :200] - second[:300, :200]).mean() > 2


def test_stand_in_takes_over_what_is_not_the_missing_networks_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = tmp_path / "names.txt"
    names.write_text("\n".join(f"kind {i}" for i in range(1000)))
    missing = {"name": "resnet18", "fallback": "efficientnet_lite0"}
    monkeypatch.setattr("visualize_pd.models.loading.zoo_url", lambda _: None)
    stand_in = load_model(**missing, image_size=300, labels=str(names))
    assert stand_in.image_size == 300 and stand_in.class_name(130) == "kind 130"
    assert stand_in.title == "EfficientNet-Lite0 (standing in for resnet18)"
    for own in ({"mean": [0.5] * 3}, {"std": [0.5] * 3}):
        with pytest.raises(VisualizeError, match="no weights for resnet18"):
            load_model(**missing, **own)


def test_number_of_class_names_must_be_right(tmp_path):
    names = tmp_path / "names.txt"
    names.write_text("cat\ndog\n")
    with pytest.raises(VisualizeError, match="has 2 class names for 1000 classes"):
        load_model("efficientnet_lite0", labels=str(names))


@pytest.mark.parametrize("name", METHODS)
def test_every_method_has_its_config(name, tmp_path, photograph, monkeypatch):
    monkeypatch.chdir(ROOT / "tests")
    path = ROOT / f"configs/{name}.yaml"
    chosen = configure_method(load_config(ExplainConfig, path).method)
    assert chosen.name == name
    assert explain_command(path, ["-o", f"images={photograph('p.png')}", "-o", f"output={tmp_path}",
                                  "-o", "save_arrays=true", *TINY]) == 0  # fmt: skip
    array = np.load(tmp_path / "method_1/p_pp.npy", allow_pickle=False)
    assert array.shape[1:] == (32, 32) and np.isfinite(array).all()
    with Image.open(tmp_path / "method_1/p_pp.jpg") as figure:
        assert np.asarray(figure).std() > 10


def test_grid_has_a_row_for_each_image_and_class(tmp_path, photograph, monkeypatch, capsys):
    monkeypatch.chdir(ROOT / "tests")
    sources = ", ".join(str(photograph(f"{i}.png")) for i in range(7))
    assert explain("-o", f"images=[{sources}]", "-o", f"output={tmp_path}", "-o", "target=top2",
                   "-o", "compare=[saliency, grad_cam]", "-o", "save_arrays=true",
                   *TINY) == 0  # fmt: skip
    sheets = sorted((tmp_path / "method_1").glob("*.jpg"))
    assert [sheet.name for sheet in sheets] == ["comparison_2_pp.jpg", "comparison_pp.jpg"]
    assert capsys.readouterr().out.count("→") == 2
    array = np.load(tmp_path / "method_1/3_2_grad_cam_pp.npy", allow_pickle=False)
    assert array.shape == (2, 1, 32, 32)


def test_common_scale_draws_equal_values_alike(tmp_path, photograph, monkeypatch):
    """Twice the map: twice as far up the scale only if the scale is shared."""

    def level(network, batch, targets=None):
        network(batch)
        ramp = paddle.arange(32, dtype="float32").expand([len(batch), 1, 32, 32])
        return ramp * paddle.arange(1, len(batch) + 1, dtype="float32").reshape([-1, 1, 1, 1])

    monkeypatch.chdir(ROOT / "tests")
    monkeypatch.setitem(METHODS, "level", level)
    sources = ", ".join(str(photograph(f"{i}.png")) for i in range(2))
    ends = {}
    for common in ("false", "true"):
        assert explain("-o", f"images=[{sources}]", "-o", f"output={tmp_path}", "-o",
                       "method=level", "-o", f"common_scale={common}", "-o", "colormap=grey",
                       *TINY) == 0  # fmt: skip
        with Image.open(tmp_path / "method_1/0_pp.jpg") as figure:
            sheet = np.asarray(figure.convert("L")).astype(int)
        ends[common] = sheet[200, 32 + 320 + 32 + 315]
    assert ends["false"] > 240 and 100 < ends["true"] < 140


def test_python_call_returns_the_figure_of_the_script(tmp_path):
    path = ROOT / "content/images/red_panda.jpg"
    assert explain("-o", f"images={path}", "-o", f"output={tmp_path}", "-o", "method=grad_cam",
                   "-o", "target=[387, 277]", *LITE) == 0  # fmt: skip
    figure = explain_image(load_model("efficientnet_lite0"), path, "grad_cam", [387, 277])
    with Image.open(tmp_path / "method_1/red_panda_pp.jpg") as written:
        assert written.size == figure.size
        difference = np.asarray(written).astype(int) - np.asarray(figure)
    assert np.abs(difference).mean() < 2


def test_grad_cam_is_highest_on_the_object(boxes):
    classifier = load_model("efficientnet_lite0")
    hits = 0
    for row in boxes:
        photograph = load_image(ROOT / "content/images" / row["file"])
        mask = Image.new("L", photograph.size)
        mask.paste(255, tuple(int(row[key]) for key in ("x0", "y0", "x1", "y1")))
        inside = np.asarray(images.crop(mask, classifier.image_size, classifier.resize)) > 127
        batch = classifier.prepare([photograph])
        heat = METHODS["grad_cam"](classifier.network, batch, int(row["class"])).numpy()[0, 0]
        hits += inside[np.unravel_index(heat.argmax(), heat.shape)]
    assert len(boxes) >= 8 and hits >= 0.75 * len(boxes)
