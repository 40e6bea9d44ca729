"""`visualize-pd explain`, `generate` and `evaluate` do what the scripts do, from any folder."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from app_helpers import ROOT, TINY_200, contents, overrides, run_explain, run_generate

from visualize_pd.app.commands.evaluate import evaluate_command
from visualize_pd.app.commands.main import main
from visualize_pd.app.config.reading import default_config


@pytest.mark.parametrize("with_missing", [False, True])
def test_explain_does_what_method_1_does(tmp_path, photograph, with_missing):
    pictures = [photograph("p.png"), *([tmp_path / "missing.png"] if with_missing else [])]
    own = {"images": f"[{', '.join(map(str, pictures))}]", "save_arrays": "true", **TINY_200}
    outputs = tmp_path / "script", tmp_path / "command"
    run_explain(outputs[0], int(with_missing), **own)
    assert main(["explain", *overrides({**own, "output": outputs[1]})]) == int(with_missing)
    figures = [contents(output / "method_1") for output in outputs]
    for name in map(Path, ("p_pp.jpg", "p_pp.npy")):
        assert figures[0][name] == figures[1][name]
    assert figures[0].keys() == figures[1].keys()


def test_generate_does_what_method_2_does(tmp_path):
    own = {"iterations": 3, "frames.every": 1, **TINY_200}
    outputs = tmp_path / "script", tmp_path / "command"
    run_generate(outputs[0], **own)
    command = ["generate", *overrides({**own, "output": outputs[1]})]
    assert main(command) == 0
    made = [contents(output / "method_2/class_130") for output in outputs]
    pictures = [{n: f for n, f in files.items() if n.suffix in (".png", ".gif")} for files in made]
    assert pictures[0] == pictures[1] and len(pictures[0]) == 6
    assert made[0].keys() == made[1].keys()
    assert main([*command, "--resume"]) == 0


def test_evaluate_does_what_the_module_does(tmp_path, photograph, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a folder without configs/
    settings = {"images": photograph("p.png"), "engine": "threshold", "truth": "null", **TINY_200}
    own = ["localise", *overrides(settings)]
    assert evaluate_command([*own, "-o", "output=out0"]) == 0
    assert main(["evaluate", *own, "-o", "output=out1"]) == 0
    assert contents(tmp_path / "out0/localise") == contents(tmp_path / "out1/localise") != {}


def test_command_and_module_do_the_same(run_script, network_file):
    arguments = ["weights", "check", network_file, "--model", "tiny:small_net"]
    environment = {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
    by_command = run_script("visualize_pd_command.py", *arguments, env=environment)
    by_module = subprocess.run(
        [sys.executable, "-m", "visualize_pd", *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )
    assert by_command.returncode == by_module.returncode == 0, by_command.stderr
    assert by_command.stdout == by_module.stdout
    assert by_command.stdout.endswith("fits tiny:small_net\n")


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        (["explain"], "images"),
        (["explain", "--config", "configs/compare.yaml"], "images"),
        (["generate", "--config", "configs/deep_dream.yaml"], "init"),
        (["evaluate", "sanity"], "images"),
        (["evaluate", "localise", "-o", "images=photo.png"], "truth"),
    ],
)
def test_missing_sample_images_are_reported_in_one_line(
    tmp_path, photograph, monkeypatch, command_error, arguments, key
):
    """The sample images are in a clone. An install does not bring them."""
    photograph("photo.png")
    monkeypatch.chdir(tmp_path)
    line = command_error(*arguments, *overrides(TINY_200))
    assert line.startswith(f"error: {key} is content/images") and f"-o {key}=" in line
    assert [path.name for path in tmp_path.iterdir()] == ["photo.png"]


def test_configs_are_found_from_any_folder(tmp_path, photograph, monkeypatch, command_error):
    monkeypatch.chdir(tmp_path)
    names = [path.name for path in (ROOT / "configs").iterdir()]
    assert len(names) > 25
    for name in names:
        assert default_config(name).samefile(ROOT / "configs" / name)
    own = overrides({"images": photograph("p.png"), "save_arrays": "true", **TINY_200})
    assert main(["explain", "--config", "configs/gradient.yaml", *own]) == 0
    assert np.load(tmp_path / "images/method_1/p_pp.npy").shape == (3, 32, 32)
    assert "configs/nothing.yaml" in command_error("explain", "--config", "configs/nothing.yaml")
    assert "gradient.yaml" in command_error("explain", "--config", "gradient.yaml")
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs/gradient.yaml").write_text("image: mine")  # one's own config comes first
    assert "'image'" in command_error("explain", "--config", "configs/gradient.yaml")
