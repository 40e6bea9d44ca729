"""`--resume`: a stopped run goes on to the same files, or says why it cannot."""

import json
import re
import subprocess
import sys
from contextlib import nullcontext

import numpy as np
import paddle
import pytest
from app_helpers import (
    GENERATE,
    ROOT,
    STILL,
    TINY,
    contents,
    overrides,
    read_run,
    run_generate,
    wait_for,
)
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import load, save

from visualize_pd.app.generate import run as generate_module
from visualize_pd.app.generate.state import _checksum
from visualize_pd.core.files import run_id


class StopAfter:
    """An event that is set after some iterations. The loop asks it once in each."""

    def __init__(self, iteration):
        self.left = iteration

    def is_set(self):
        self.left -= 1
        return self.left < 0


@pytest.mark.parametrize("how", ["killed", "interrupted"])
def test_resumed_run_ends_with_the_same_files(tmp_path, tests_folder, capsys, monkeypatch, how):
    """The first part is killed after a frame, or stopped by Ctrl-C between two frames."""
    settings = {**TINY, "target": 1, "iterations": 120, "frames.every": 20}
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    run_generate(whole, **settings)
    frames = broken / "method_2/class_1/pp"
    if how == "killed":
        process = subprocess.Popen(
            [sys.executable, str(ROOT / GENERATE), *overrides({**settings, "output": broken})],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_for(frames / "c_1_iter_20_pp.png")
        process.kill()
        process.communicate()
        assert process.returncode != 0
    else:
        with monkeypatch.context() as patch:
            patch.setattr(generate_module, "noted_interrupts", lambda: nullcontext(StopAfter(24)))
            run_generate(broken, 130, **settings)
        assert (frames / "c_1_iter_24_pp.png").is_file()
    run_generate(broken, resume=True, **settings)
    assert "starting anew" not in capsys.readouterr().out
    files, resumed = contents(whole), contents(broken)
    assert files.keys() == resumed.keys() and len(files) == 7 + 4
    for path in files:
        if path.suffix in (".png", ".gif"):
            assert files[path] == resumed[path], path
    first, second = (read_run(folder / "method_2/class_1")[0] for folder in (whole, broken))
    assert first["frames"] == second["frames"] and second["complete"]


def test_resuming_a_complete_run_writes_another_animation_without_iterating(generate, monkeypatch):
    common = {"iterations": 6, "layer": "0", "channel": 1, **STILL}
    folder = generate("filter", **common) / "filter_0_1"
    steps = []
    monkeypatch.setattr(paddle.optimizer.Adam, "step", lambda *_: steps.append(1))
    generate("filter", resume=True, **common, **{"animation.format": "webp"})
    assert (folder / "filter_0_1.webp").is_file() and not steps
    with Image.open(folder / "filter_0_1.webp") as animation:
        assert animation.n_frames == 4


def test_resuming_without_an_earlier_run_starts_anew(generate, capsys):
    generate("filter", resume=True, layer="0", channel=1, iterations=2)
    assert "nothing to resume" in capsys.readouterr().out


def test_run_with_random_weights_cannot_be_resumed(generate, capsys):
    settings = {"model": "{name: tiny:small_net, image_size: 32, weights: random}", "iterations": 2}
    for code, resume in ((0, False), (2, True)):
        generate("filter", code=code, resume=resume, layer="0", channel=1, **settings)
    assert "random weights differ in each run" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "state.safetensors").write_bytes(b"none"), "cannot resume"),
        (lambda folder: (folder / "pp/filter_0_1_iter_2_pp.png").unlink(), "cannot resume"),
        (lambda folder: Image.new("RGB", (9, 8)).save(folder / "pp/filter_0_1_iter_2_pp.png"),
         "cannot resume"),
        (lambda folder: {"iterations": 9}, "a run with another iterations; take the same"),
        (lambda folder: {"learning_rate": 0.2, "priors.shift": 1}, "learning_rate and priors"),
    ],
)  # fmt: skip
def test_damaged_or_changed_run_cannot_be_resumed(generate, capsys, damage, message):
    common = {"layer": "0", "channel": 1, "iterations": 4}
    folder = generate("filter", **common) / "filter_0_1"
    changed = damage(folder)
    changed = changed if isinstance(changed, dict) else {}
    generate("filter", code=2, resume=True, **{**common, **changed})
    err = capsys.readouterr().err
    assert message in err and "without --resume" in err and "Traceback" not in err


@pytest.mark.parametrize(
    "change",
    [
        lambda record, arrays: record.update(config=5),
        lambda record, arrays: record.update(config="text"),
        lambda record, arrays: record.update(config=[[1]]),
        lambda record, arrays: record.update(iteration=2.0),
        lambda record, arrays: record.update(iteration=-2),
        lambda record, arrays: record.update(iteration=10**9),
        lambda record, arrays: record["frames"][0].pop("score"),
        lambda record, arrays: record["frames"][0].update(score=None),
        lambda record, arrays: record["frames"][0].update(score="high"),
        lambda record, arrays: record["frames"][0].update(score=10**400),
        lambda record, arrays: "[" * 100_000,
        lambda record, arrays: arrays.update({"0.variable": arrays["0.variable"].astype("f8")}),
        lambda record, arrays: arrays.update({"0.moment1_0": arrays["0.moment1_0"].astype("f2")}),
        lambda record, arrays: arrays.update({"0.moment1_0": arrays["0.moment1_0"][:, :1]}),
        lambda record, arrays: arrays.update({"0.moment2_0": np.zeros((), "f4")}),
        lambda record, arrays: arrays.pop("0.moment1_0"),
    ],
)
def test_state_file_with_wrong_values_cannot_be_resumed(generate, capsys, monkeypatch, change):
    common = {"target": 1, "iterations": 4, "animation.score": "true"}
    with monkeypatch.context() as patch:
        patch.setattr(generate_module, "noted_interrupts", lambda: nullcontext(StopAfter(2)))
        folder = generate("class_image", code=130, **common) / "class_1"
    path = folder / "state.safetensors"
    with safe_open(str(path), framework="numpy") as file:
        record = json.loads(file.metadata()["run"].partition(" ")[2])
    arrays = load(path.read_bytes())
    text = change(record, arrays)
    run = text if isinstance(text, str) else json.dumps(record)
    path.write_bytes(save(arrays, {"run": f"{_checksum(arrays, run)} {run}"}))
    generate("class_image", code=2, resume=True, **common)
    err = capsys.readouterr().err
    assert "resume" in err and "Traceback" not in err and "Error" not in err


def test_frames_of_another_size_cannot_be_resumed(generate, capsys):
    common = {"layer": "0", "channel": 1, "iterations": 4}
    folder = generate("filter", **common) / "filter_0_1"
    for path in folder.glob("pp/*.png"):
        Image.new("RGB", (9, 9)).save(path)
    generate("filter", code=2, resume=True, **common)
    assert "is not the frame that this run has written" in capsys.readouterr().err


@pytest.mark.parametrize("resume", [True, False])
def test_temporary_files_of_a_killed_run_are_removed(generate, resume):
    common = {"iterations": 2, "layer": "0", "channel": 1, **STILL}
    folder = generate("filter", **common) / "filter_0_1"
    whole = sorted(path.name for path in folder.rglob("*"))
    left = re.sub("-[0-9]+-", "-999999999-", run_id())  # no process has this number
    for name in (f".{left}.456.partial", f"pp/.{left}.8.partial"):
        (folder / name).write_bytes(b"half")
    (folder / "pp/.mine").touch()
    generate("filter", resume=resume, **common)
    assert sorted(path.name for path in folder.rglob("*")) == sorted([*whole, ".mine"])
