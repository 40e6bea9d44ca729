"""Runs of method 2 for the page: their files are those of the script, also after a stop."""

import io
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest
from app_helpers import ROOT, contents
from PIL import Image

import visualize_pd as vp
from visualize_pd.app.commands.scripts import generate_command
from visualize_pd.app.config.schema import ExplainConfig
from visualize_pd.app.web.live.generation import (
    Folder,
    Made,
    Step,
    command_of,
    generation,
    packed,
    put_picture,
    run_values,
)
from visualize_pd.core.errors import ConfigError, ImageError, StoppedError
from visualize_pd.core.stopping import stoppable
from visualize_pd.models.config import ModelConfig

APP = ExplainConfig(model=ModelConfig(name="tiny:small_net", image_size=32))
RUNS = {
    "class_image": {"target": 1, "iterations": 9},
    "filter": {"layer": "0", "channel": 2, "iterations": 9},
    "deep_dream": {"layer": "1", "octaves": 2, "iterations": 4},
    "inversion": {"layer": "2", "iterations": 9},
}


@pytest.fixture(scope="module")
def classifier():
    return vp.load_model("tiny:small_net", image_size=32)


@pytest.fixture
def folder():
    return Folder()


def picture(size=(60, 50)):
    pixels = np.random.default_rng(0).integers(0, 255, (size[1], size[0], 3), dtype="uint8")
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "PNG")
    return data.getvalue()


def made(classifier, folder, objective, stop_at=None):
    """Do a run, and stop it at the n-th frame. Returns its values and everything it has yielded."""
    values = run_values(objective, APP, **RUNS[objective])
    if objective in ("deep_dream", "inversion"):
        values["init"] = put_picture(folder.path, picture(), "cat.png", objective)
    stop, found = threading.Event(), []
    place = folder.path / "images"
    for each in generation(values, classifier, folder.path, place, stop, "cpu"):
        found.append(each)
        if len(found) == stop_at:
            stop.set()
    return values, found


def unpacked(values, run, folder, place):
    with zipfile.ZipFile(io.BytesIO(packed(values, run, folder.path))) as archive:
        archive.extractall(place)
    return place / run.name


def by_the_command(folder, name, resume, monkeypatch):
    """Do what the command says, in its folder."""
    monkeypatch.chdir(folder)
    words = command_of(name, resume).split()
    assert words[:2] == ["visualize-pd", "generate"]
    assert generate_command(ROOT / "configs/class_image.yaml", words[2:]) == 0


@pytest.mark.parametrize("objective", RUNS)
def test_yaml_and_command_make_byte_equal_files(
    classifier, folder, objective, tmp_path, monkeypatch
):
    values, found = made(classifier, folder, objective)
    run = found[-1]
    assert isinstance(run, Made) and run.complete
    place = unpacked(values, run, folder, tmp_path)
    files = contents(place / "images")
    assert {path.suffix for path in files} == {".png", ".gif", ".json", ".safetensors"}
    for path in files:
        (place / "images" / path).unlink()
    by_the_command(place, run.name, False, monkeypatch)
    assert contents(place / "images") == files


@pytest.mark.parametrize("objective", ["class_image", "deep_dream"])
def test_stopped_run_goes_on_to_the_files_of_a_whole_run(
    classifier, folder, objective, tmp_path, monkeypatch
):
    values, found = made(classifier, folder, objective, stop_at=3)
    run = found[-1]
    assert not run.complete and 0 < run.rows[-1]["iteration"] < found[0].last
    assert [type(each) for each in found] == [Step] * len(run.rows) + [Made]
    with Image.open(run.folder / f"{run.name}.gif") as film:
        assert film.n_frames == len(run.rows)
    shown = Image.open(run.folder / run.rows[-1]["file"])
    np.testing.assert_array_equal(run.sheet, np.asarray(shown))
    place = unpacked(values, run, folder, tmp_path)
    head = (place / f"{run.name}.yaml").read_text().splitlines()[0]
    assert head == f"# visualize-pd generate --config {run.name}.yaml --resume"
    by_the_command(place, run.name, True, monkeypatch)
    _, whole = made(classifier, folder, objective)
    assert contents(place / "images/method_2" / run.name) == contents(whole[-1].folder)


def test_frames_come_one_after_another(classifier, folder):
    _, found = made(classifier, folder, "class_image")
    assert [each.iteration for each in found[:-1]] == list(range(10))
    assert [len(each.rows) for each in found[:-1]] == list(range(1, 11))


def test_abandoned_run_does_not_go_on_to_its_next_frame(classifier, folder):
    values, gone = run_values("class_image", APP, iterations=1000, target=1), []
    with stoppable(lambda: bool(gone)):
        steps = generation(values, classifier, folder.path, folder.path, threading.Event(), "cpu")
        gone.append(next(steps))
        with pytest.raises(StoppedError):
            next(steps)
    assert len(list(folder.path.rglob("*_pp.png"))) == 1


@pytest.mark.parametrize(
    ("objective", "steps", "every"),
    [("class_image", 240, 10), ("deep_dream", 12, 2), ("filter", 3, 1), ("inversion", 1000, 42)],
)
def test_a_run_has_about_two_dozen_frames(objective, steps, every):
    assert run_values(objective, APP, iterations=steps)["frames"] == {"every": every}


def test_folder_of_a_person_is_removed_with_it(classifier):
    folder = Folder()
    made(classifier, folder, "filter")
    path = folder.path
    assert list(path.rglob("*.gif"))
    del folder
    assert not path.exists()


@pytest.mark.parametrize("name", ["../../evil.png", "a.p/../ng", "cat.PNG", "x.pythonscript", ""])
def test_picture_stays_in_its_folder_whatever_its_name(folder, name):
    found = put_picture(folder.path, picture(), name, "inversion")
    assert (folder.path / found).read_bytes() == picture()
    assert Path(found).name == found and [each.name for each in folder.path.iterdir()] == [found]


def test_large_picture_of_a_dream_is_made_smaller(folder):
    found = put_picture(folder.path, picture((1024, 600)), "a.png", "deep_dream")
    with Image.open(folder.path / found) as small:
        assert small.size == (512, 300)


def test_hostile_picture_is_refused(folder):
    with pytest.raises(ImageError):
        put_picture(folder.path, b"no picture", "a.png", "inversion")


def test_too_many_steps_are_refused():
    with pytest.raises(ConfigError, match="iterations must be at most 1,000"):
        run_values("class_image", APP, iterations=1001)


def test_run_has_the_network_and_the_device_of_the_app():
    app = ExplainConfig(device="cpu", model=ModelConfig(name="resnet18", num_classes=2))
    values = run_values("filter", app, layer="conv1")
    assert values["device"] == "cpu" and "fast" not in values
    assert values["model"] == {"name": "resnet18", "num_classes": 2}
