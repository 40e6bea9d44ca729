"""`python -m visualize_pd.evaluate`: from a config to tables, figures and files."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from app_helpers import LITE, ROOT, TINY, overrides, read_csv
from PIL import Image

from visualize_pd import METHODS, crop, load_image, load_model
from visualize_pd.app.commands.evaluate import MEASURES, evaluate_command
from visualize_pd.evaluate import (
    average_drop,
    bootstrap_interval,
    deletion,
    insertion,
    pointing_game,
)
from visualize_pd.evaluate.measures import HIGH_IS_GOOD, OF_A_CLASS
from visualize_pd.evaluate.measures import MEASURES as MAP_MEASURES

NAMED_CONTRAST = {
    "measures": "[random_logit]",
    "methods": "[{name: grad_cam, score: {contrast: 1}}]",
}
pytestmark = pytest.mark.usefixtures("tests_folder")


@pytest.fixture
def pictures(tmp_path, photograph):
    """A folder of three images, the second one broken, and boxes for the other two."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name in ("a.png", "c.png"):
        photograph(f"pictures/{name}", 80, 64)
    (folder / "b.png").write_bytes(b"no picture")
    boxes = tmp_path / "boxes.csv"
    boxes.write_text("file,class,x0,y0,x1,y1\na.png,1,20,8,60,40\nc.png,2,0,0,80,64\n")
    return folder, boxes


@pytest.fixture
def evaluate(tmp_path, pictures):
    """Run one of the evaluations; return its output folder. The broken image gives code 1."""
    folder, boxes = pictures

    def run(measure, code=1, **settings):
        keys = {"images": folder, "truth": boxes, "output": tmp_path / "out", **TINY, **settings}
        if measure == "sanity":
            keys.pop("truth")
        config = {"methods": "evaluate", "localise": "localise", "sanity": "sanity"}[measure]
        path = ROOT / "configs" / f"{config}.yaml"
        assert evaluate_command([measure, "--config", str(path), *overrides(keys)]) == code
        return tmp_path / "out" / config

    return run


def test_methods_gives_the_numbers_of_the_functions(evaluate, capsys, pictures):
    """Each number is that of a direct call for the labelled class. A broken image is reported."""
    folder = evaluate("methods", methods="[saliency, {name: gradient, channel: sum}]", steps=9)
    out, err = capsys.readouterr()
    assert "skipped: " in err and "b.png" in err
    rows = read_csv(folder / "results.csv")
    assert [(row["file"], row["class"], row["method"]) for row in rows] == [
        ("a.png", "1", "Saliency"), ("a.png", "1", "Gradient"),
        ("c.png", "2", "Saliency"), ("c.png", "2", "Gradient"),
    ]  # fmt: skip
    classifier = load_model("tiny:small_net", image_size=32)
    picture = load_image(pictures[0] / "a.png")
    image, network = classifier.prepare([picture]), classifier.network
    mask = Image.new("L", picture.size)
    mask.paste(255, (20, 8, 60, 40))
    seen = np.asarray(crop(mask, 32, classifier.resize, classifier.resample)) > 127
    for row, name, options in zip(rows, ("saliency", "gradient"), ({}, {"channel": "sum"})):
        maps = METHODS[name](network, image, 1, **options)
        dropped = average_drop(network, image, maps, 1)
        expected = {
            "insertion": insertion(network, image, maps, 1, steps=9).areas[0],
            "deletion": deletion(network, image, maps, 1, steps=9).areas[0],
            "pointing_game": float(pointing_game(maps.numpy(), [seen])[0]),
            "average_drop": dropped.drops[0],
            "increase": float(dropped.increases[0]),
        }
        assert {key: float(row[key]) for key in expected} == pytest.approx(expected, abs=1e-6)
        assert float(row["passes"]) > 0.2
    record = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    assert record["images"] == 2
    for title, means in record["means"].items():
        own = [float(row["insertion"]) for row in rows if row["method"] == title]
        assert means["insertion"] == pytest.approx(np.mean(own))
        shares, heights = record["curves"]["insertion"][title]
        steps = np.diff(shares) * (np.array(heights[1:]) + heights[:-1]) / 2
        assert steps.sum() == pytest.approx(means["insertion"])
        assert f"{means['deletion']:.3g}" in next(
            line for line in out.splitlines() if title in line
        )
    assert Image.open(folder / "curves.png").width > 800


def test_methods_without_truth_uses_the_predicted_class_and_no_pointing_game(
    evaluate, pictures, capsys
):
    changes = {"truth": "null", "target": "predicted", "steps": 4}
    folder = evaluate("methods", methods="[grad_cam]", **changes)
    rows = read_csv(folder / "results.csv")
    classifier = load_model("tiny:small_net", image_size=32)
    batch = classifier.prepare([load_image(pictures[0] / row["file"]) for row in rows])
    predicted = classifier.network(batch).numpy().argmax(1)
    assert [int(row["class"]) for row in rows] == predicted.tolist()
    assert all(row["pointing_game"] == "nan" for row in rows)
    assert (
        json.loads((folder / "results.json").read_text())["means"]["Grad-CAM"]["pointing_game"]
        is None
    )


def test_interrupt_keeps_the_finished_rows(evaluate, monkeypatch):
    from visualize_pd.evaluate import measures

    real = measures.insertion
    calls = []

    def interrupted(*arguments, **options):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*arguments, **options)

    monkeypatch.setattr(measures, "insertion", interrupted)
    folder = evaluate("methods", code=130, methods="[saliency]", steps=2)
    assert [row["file"] for row in read_csv(folder / "results.csv")] == ["a.png"]


def test_methods_runs_every_measure(evaluate):
    """Each measure has a column. `integrated_gradients` is complete for its own score."""
    of_all = f"[{', '.join(MAP_MEASURES)}]"
    methods = "[{name: integrated_gradients, score: probability, baseline: mean}, grad_cam]"
    changes = {"measures": of_all, "steps": 3, "samples": 5, "methods": methods}
    folder = evaluate("methods", contrast="top2", **changes)
    means, other = json.loads((folder / "results.json").read_text())["means"].values()
    assert means["infidelity"] > 0 and 0 < means["max_sensitivity"] < 5
    assert 0 <= means["relevance_mass"] <= 1 and 0 <= means["relevance_rank"] <= 1
    assert means["completeness"] < 1e-3 and other["completeness"] > 1
    assert abs(other["sensitivity_n"]) < means["sensitivity_n"] <= 1
    with open(folder / "summary.csv", encoding="utf-8") as file:
        columns = file.readline().strip().split(",")
    names = [key for key in means if key != "passes"]
    assert columns[1:4] == ["insertion", "insertion_low", "insertion_high"]
    assert {*HIGH_IS_GOOD} < {*names} and len(columns) == 1 + 3 * len(means)


def test_random_baseline_has_no_completeness(evaluate):
    methods = "[{name: integrated_gradients, steps: 2, baseline: random}]"
    folder = evaluate("methods", methods=methods, measures="[completeness, sensitivity_n]")
    (means,) = json.loads((folder / "results.json").read_text())["means"].values()
    assert means["completeness"] is None and means["sensitivity_n"] is None


def test_means_have_intervals(evaluate, capsys):
    folder = evaluate("methods", methods="[saliency]", measures="[insertion]", steps=4)
    values = [float(row["insertion"]) for row in read_csv(folder / "results.csv")]
    wanted = bootstrap_interval(values)
    (row,) = read_csv(folder / "summary.csv")
    found = [float(row[f"insertion{end}"]) for end in ("", "_low", "_high")]
    assert found == pytest.approx(list(wanted))
    record = json.loads((folder / "results.json").read_text())
    assert record["intervals"]["Saliency"]["insertion"] == pytest.approx(list(wanted[1:]))
    shown = f"{wanted.value:.3g} ±{(wanted.high - wanted.low) / 2:.2g}"
    assert shown in capsys.readouterr().out


def test_methods_with_functions_are_judged_by_them(evaluate):
    """A measure that asks for a class is refused; completeness is that of the function."""
    score = "score: tiny:contrast"
    methods = f"[{{name: integrated_gradients, {score}}}, {{name: gradient, {score}}}]"
    fixed = {"methods": methods, "target": "predicted"}
    for name in OF_A_CLASS:
        evaluate("methods", code=2, measures=f"[insertion, {name}]", **fixed)
    folder = evaluate("methods", measures="[completeness, road]", **fixed)
    exact, other = json.loads((folder / "results.json").read_text())["means"].values()
    assert exact["completeness"] < 1e-2 * other["completeness"]


def test_missing_matplotlib_is_reported_and_no_plot_is_drawn(evaluate, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.setitem(sys.modules, "matplotlib.backends.backend_agg", None)
    folder = evaluate("methods", methods="[saliency]", steps=2)
    assert 'pip install -e ".[evaluate]"' in capsys.readouterr().out
    assert (folder / "results.csv").is_file() and not (folder / "curves.png").exists()


def test_localise_finds_the_object_of_a_real_photograph(tmp_path, capsys):
    """The packaged network finds the box of the panda, in the pixels of the file."""
    photograph = ROOT / "content/images/giant_panda.jpg"
    settings = {"images": photograph, "output": tmp_path, **LITE}
    settings["truth"] = ROOT / "content/images/boxes.csv"
    config = str(ROOT / "configs/localise.yaml")
    assert evaluate_command(["localise", "--config", config, *overrides(settings)]) == 0
    assert "giant_panda.jpg: giant panda 97" in capsys.readouterr().out
    (entry,) = json.loads((tmp_path / "localise/boxes.json").read_text())
    assert entry["class"] == 388 and entry["overlap"] > 0.8
    x0, y0, x1, y1 = entry["box"]
    with Image.open(photograph) as picture:
        assert 0 <= x0 < x1 <= picture.width and 0 <= y0 < y1 <= picture.height
    assert Image.open(tmp_path / "localise/giant_panda_pp.jpg").width > 3 * 256


def test_localise_writes_a_row_for_each_class(evaluate, capsys):
    folder = evaluate("localise", target="[0, 2]", engine="threshold", method="grad_cam")
    entries = json.loads((folder / "boxes.json").read_text())
    assert [(entry["file"], entry["class"]) for entry in entries] == [
        ("a.png", 0), ("a.png", 2), ("c.png", 0), ("c.png", 2),
    ]  # fmt: skip
    classifier = load_model("tiny:small_net", image_size=32)
    batch = classifier.prepare([load_image(ROOT / "content/images/castle.jpg")])
    assert classifier.network(batch).shape[1] == 3
    assert all(0 < entry["probability"] < 1 and len(entry["box"]) == 4 for entry in entries)
    assert "overlap of at least a half: " in capsys.readouterr().out


def test_sanity_draws_each_method_at_each_stage(evaluate, capsys):
    folder = evaluate("sanity", methods="[gradient, grad_cam]", mode="independent")
    record = json.loads((folder / "independent.json").read_text())
    assert record["layers"] == ["trained", "6", "2", "0"]
    for title in ("Gradient", "Grad-CAM"):
        for kind in ("rank_correlation", "rank_correlation_abs", "ssim"):
            values = record["means"][title][kind]
            assert values[0] == pytest.approx(1) and len(values) == 4
            assert min(values) < 0.999
    assert (folder / "independent_a.png").is_file() and (folder / "independent_c.png").is_file()
    assert Image.open(folder / "independent_curves.png").width > 1200
    assert "after 0:" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("measure", "changes", "message"),
    [
        ("methods", {"methods": "[nothing]"}, "unknown method 'nothing'"),
        ("methods", {"methods": "[]"}, "each hold at least one"),
        ("methods", {"measures": "[beauty]"}, "unknown measure 'beauty'; use insertion"),
        ("methods", {"measures": "[]"}, "each hold at least one"),
        ("methods", {"contrast": "[]"}, "contrast must be classes"),
        ("methods", {"contrast": "9", "measures": "[contrast_insertion]"}, "class 9 does not"),
        ("methods", NAMED_CONTRAST, "random_logit asks for random other classes"),
        ("methods", {"truth": "none.csv"}, "no such file of boxes: none.csv"),
        ("methods", {"truth": "null"}, "no class is given for a.png"),
        ("methods", {"steps": 0}, "steps must be at least 1"),
        ("localise", {"engine": "snake"}, "unknown engine 'snake'"),
        ("localise", {"foreground": 0.2}, "background < foreground"),
        ("localise", {"target": "dog"}, "no class names are known"),
        ("sanity", {"mode": "all"}, "unknown mode 'all'; use cascading"),
        ("sanity", {"methods": "[]"}, "at least one"),
        ("sanity", {"images": "none"}, "no image could be read"),
        ("sanity", {"model": "resnet0"}, "unknown model 'resnet0'"),
    ],
)
def test_bad_settings_are_reported_in_one_line(evaluate, capsys, measure, changes, message):
    evaluate(measure, code=2, **changes)
    err = capsys.readouterr().err
    assert message in err and err.count("error: ") == 1 and "Traceback" not in err


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names there are in Unicode")
@pytest.mark.parametrize("measure", ["methods", "localise", "sanity"])
@pytest.mark.parametrize("name", [b"caf\xe9.png", b"two\nlines.png"])
def test_file_name_that_is_not_unicode_or_has_a_line_break(
    tmp_path, photograph, evaluate, measure, name
):
    (tmp_path / "odd").mkdir()
    photograph("photo.png", 40, 32).rename(os.fsdecode(bytes(tmp_path / "odd") + b"/" + name))
    settings = {
        "methods": {"methods": "[saliency]", "steps": 2},
        "sanity": {"methods": "[gradient]"},
        "localise": {"engine": "threshold"},
    }
    evaluate(measure, 0, images=tmp_path / "odd", target="predicted", **settings[measure])


def test_sanity_leaves_the_network_unchanged(monkeypatch, evaluate):
    """The sanity check makes weights random and then restores them."""
    before = load_model("tiny:small_net", image_size=32).network
    kept = []
    monkeypatch.setattr(
        "visualize_pd.app.evaluate.pictures.load_model",
        lambda **options: kept.append(load_model(**options)) or kept[-1],
    )
    evaluate("sanity", methods="[gradient]")
    for one, other in zip(before.parameters(), kept[0].network.parameters()):
        np.testing.assert_array_equal(one.numpy(), other.numpy())


def test_help_lists_the_measures_and_an_unknown_one_is_refused():
    def run(*arguments):
        command = [sys.executable, "-m", "visualize_pd.evaluate", *arguments]
        return subprocess.run(command, capture_output=True, text=True, cwd=ROOT)

    shown = run("--help")
    assert shown.returncode == 0 and all(name in shown.stdout for name in MEASURES)
    wrong = run("beauty")
    assert wrong.returncode == 2 and "invalid choice" in wrong.stderr
    assert run("localise", "--help").returncode == 0
