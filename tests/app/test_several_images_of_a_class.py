"""Candidates, of which a judge keeps one, and facets, which differ from each other."""

import json

import numpy as np
import pytest
from app_helpers import TINY, read_run, run_generate
from PIL import Image

from visualize_pd import load_model, to_tensor

pytestmark = pytest.mark.usefixtures("tests_folder")

JUDGE = "{name: 'tiny:other_net', image_size: 24}"
SHORT = {**TINY, "iterations": 6, "frames.every": 3, "init_std": 0.5}


def judge():
    return load_model("tiny:other_net", image_size=24)


def as_judged(picture, target):
    network = judge()
    small = Image.fromarray(picture).resize((24, 24), Image.Resampling.BICUBIC)
    logits = network.network(to_tensor([small], network.mean, network.std)).numpy()[0]
    return float(np.exp(logits[target]) / np.exp(logits).sum())


def test_the_judge_keeps_the_candidate_that_it_is_most_sure_of(tmp_path, capsys):
    settings = {**SHORT, "candidates": 4, "judge": JUDGE, "target": "[0, 2]"}
    folder = run_generate(tmp_path, **settings) / "class_0_2"
    record, frames = read_run(folder)
    sheet = np.asarray(frames[6])  # eight images of 32 × 32 in three columns
    images = [sheet[32 * r : 32 * r + 32, 32 * c : 32 * c + 32] for r in range(3) for c in range(3)]
    found = [as_judged(images[n], 0 if n < 4 else 2) for n in range(8)]
    assert record["judge_probability"] == pytest.approx(found, rel=1e-4)
    kept = [int(np.argmax(found[:4])), 4 + int(np.argmax(found[4:]))]
    assert record["kept"] == kept and len(set(np.round(found[:4], 6))) == 4
    assert record["class"] == ["class 0", "class 2"]
    said = f"tiny:other_net keeps image {kept[0] + 1} of 4 of class 0 ({max(found[:4]):.1%}), "
    assert said in capsys.readouterr().out
    with Image.open(folder / "class_0_2.gif") as gif:
        assert gif.size == (8 + 40 + 40, 8 + 32 + 26 + 8) and gif.n_frames == 3
        gif.seek(2)
        shown = np.asarray(gif.convert("RGB")).astype(int)
    for place, number in enumerate(kept):
        cell = shown[8:40, 8 + 40 * place : 40 + 40 * place]
        assert np.abs(cell - images[number]).mean() < 12


def test_one_candidate_needs_no_judge(tmp_path):
    settings = {**SHORT, "target": 1, "judge": "tiny:none"}
    record, _ = read_run(run_generate(tmp_path, **settings) / "class_1")
    assert "kept" not in record


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"candidates": 2, "judge": "efficientnet_lite1"},
            "judge: no weights for EfficientNet-Lite1",
        ),
        ({"candidates": 2, **{"judge": TINY["model"]}}, "choose another judge"),
        ({"candidates": 2, "judge": "{nome: x}"}, "unknown key 'judge.nome'"),
        ({"candidates": 2, "diversity.images": 3}, "choose one of them"),
        ({"candidates": 2, "target": "{0: 1, 1: 1}"}, "classes without weights"),
        ({"diversity.images": 2, "target": "{0: 1, 1: 1}"}, "classes without weights"),
        ({"candidates": 0}, "candidates must be at least 1"),
        ({"diversity.images": 2, "diversity.layer": "7x"}, "no layer '7x'"),
        ({"diversity.weight": -1}, "diversity.weight must be at least 0"),
        ({"candidates": 32, "target": "[0, 1, 2, 0, 1, 2, 0, 1, 2]"}, "target asks for 288 images"),
    ],
)
def test_bad_settings_are_answered_in_a_sentence(tmp_path, capsys, monkeypatch, settings, message):
    monkeypatch.setattr("visualize_pd.models.weights.finding.PACKAGES", {}, raising=False)
    run_generate(tmp_path, code=2, **{**SHORT, "target": 1, **settings})
    err = capsys.readouterr().err
    assert message in err and err.count("error: ") == 1 and "Traceback" not in err


def features(pictures, classifier):
    """The directions of the Gram matrices of layer 3, one for each picture."""
    batch = to_tensor([Image.fromarray(p) for p in pictures], classifier.mean, classifier.std)
    maps = classifier.network[:4](batch).numpy()
    maps = maps.reshape(*maps.shape[:2], -1)
    together = (maps @ maps.swapaxes(1, 2)).reshape(len(maps), -1)
    return together / np.linalg.norm(together, axis=1, keepdims=True)


def test_facets_differ_more_than_images_without_the_term(tmp_path):
    classifier = load_model("tiny:small_net", image_size=32)
    alike = {}
    for weight in (0, 30):
        settings = {**SHORT, "iterations": 30, "target": 1, "learning_rate": 0.2}
        settings |= {"diversity.images": 4, "diversity.weight": weight, "diversity.layer": 3}
        folder = run_generate(tmp_path / str(weight), **settings) / "class_1_facets"
        record, frames = read_run(folder)
        sheet = np.asarray(frames[30])
        pictures = [sheet[:, 32 * n : 32 * n + 32] for n in range(4)]
        directions = features(pictures, classifier)
        alike[weight] = (directions @ directions.T).sum() - 4
        assert record["class"] == "class 1" and len(record["frames"][0]["score"]) == 4
        with Image.open(folder / "class_1_facets.gif") as gif:
            assert gif.size[0] == 8 + 4 * 40
    assert alike[30] < 0.8 * alike[0]


def test_a_run_with_candidates_can_be_resumed(tmp_path):
    settings = {**SHORT, "candidates": 2, "judge": JUDGE, "target": 0, "transparency": "true"}
    whole = run_generate(tmp_path / "whole", **settings) / "class_0"
    part = run_generate(tmp_path / "part", **{**settings, "frames.every": 2}) / "class_0"
    again = run_generate(tmp_path / "part", resume=True, **{**settings, "frames.every": 2})
    assert again / "class_0" == part
    names = ["class_0.png", "class_0_transparent.png"]
    for name in names:
        assert (whole / name).read_bytes() == (part / name).read_bytes()
    kept = [json.loads((f / "run.json").read_text())["kept"] for f in (whole, part)]
    assert kept[0] == kept[1]
