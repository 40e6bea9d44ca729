"""`python -m visualize_pd.evaluate transfer`: tables, pictures and files of several recipes."""

import numpy as np
import pytest
from app_helpers import read_csv
from PIL import Image

from visualize_pd import load_model
from visualize_pd.app.commands.evaluate import evaluate_command
from visualize_pd.app.evaluate import transfer as app_transfer
from visualize_pd.evaluate import contrast, saturation, spectrum_slope
from visualize_pd.evaluate.generated import FRESH_CLASSES, judge_pictures

RECIPE = "iterations: 3\nmodel: {name: tiny:small_net, image_size: 32}\n"


@pytest.fixture
def transfer(tmp_path, monkeypatch):
    """Run the command in a folder with two recipes, `one.yaml` and `other.yaml`."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "one.yaml").write_text(RECIPE)
    (tmp_path / "other.yaml").write_text(f"{RECIPE}parametrisation: fourier\n")

    def run(*arguments, recipes=("one.yaml",)):
        given = [] if "--classes" in arguments else ["--classes", "1", "0"]
        judges = [] if "--judges" in arguments else ["--judges", "tiny:small_net"]
        words = ["--config", *recipes, "-o", "output=out", *given, *judges, *arguments]
        return evaluate_command(["transfer", *words])

    return run


def test_prints_the_tables_of_each_recipe_and_writes_them(transfer, tmp_path, capsys):
    assert transfer(recipes=("one.yaml", "other.yaml")) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    rows = read_csv(tmp_path / "out/transfer/summary.csv")
    assert [row["recipe"] for row in rows] == ["one", "other"]
    judge = load_model("tiny:small_net")
    for row in rows:
        folder = tmp_path / "out/transfer" / row["recipe"]
        pictures = [np.asarray(Image.open(folder / f"{target}.png")) for target in (1, 0)]
        named = judge_pictures([judge], pictures, [1, 0])
        ranks = [each.ranks[judge.name] + 1 for each in named]
        each_class = read_csv(folder / "classes.csv")
        assert [line["class"] for line in each_class] == ["1", "0"]
        assert [line["name"] for line in each_class] == ["class 1", "class 0"]
        assert [int(line["rank_tiny:small_net"]) for line in each_class] == ranks
        found = [float(line["probability_tiny:small_net"]) for line in each_class]
        expected = [each.probabilities[judge.name] for each in named]
        assert found == pytest.approx(expected, abs=1e-6)
        assert float(row["first_tiny:small_net"]) == np.mean([rank == 1 for rank in ranks])
        assert float(row["top5_tiny:small_net"]) == 1  # of three classes
        assert float(row["probability_tiny:small_net"]) == pytest.approx(np.mean(expected))
        assert row["distance"] == ""  # the judge has no normalisation layer
        measures = {"contrast": contrast, "saturation": saturation, "slope": spectrum_slope}
        for key, measure in measures.items():
            assert float(row[key]) == pytest.approx(np.mean([measure(p) for p in pictures]))
        for target, rank, probability in zip("10", ranks, expected):
            assert ["class", target, str(rank), f"{probability:.3f}"] in lines
        numbers = [f"{float(row[key]):.3f}" for key in measures]
        assert [row["recipe"], "-", *numbers, f"{float(row['time']):.2f}"] in lines
        assert Image.open(folder / "sheet.png").width > 2 * 160
    assert not (tmp_path / "out/transfer/one/1.png").samefile(tmp_path / "out/transfer/other/1.png")
    assert rows[0]["contrast"] != rows[1]["contrast"]


def test_sample_photographs_get_a_row_of_their_own(transfer, tmp_path, photograph, capsys):
    (tmp_path / "content/images").mkdir(parents=True)
    photograph("content/images/a.png", 80, 64)
    assert transfer() == 0
    assert "no sample photographs" not in capsys.readouterr().out
    _, row = read_csv(tmp_path / "out/transfer/summary.csv")
    seen = load_model("tiny:small_net", image_size=32).crop(Image.open("content/images/a.png"))
    assert row["recipe"] == "sample photographs"
    assert float(row["contrast"]) == pytest.approx(contrast(np.asarray(seen)))
    assert row["time"] == row["first_tiny:small_net"] == row["probability_tiny:small_net"] == ""


@pytest.mark.parametrize("empty", [True, False])
def test_without_sample_photographs_their_row_is_left_out(transfer, tmp_path, capsys, empty):
    if empty:
        (tmp_path / "content/images").mkdir(parents=True)
    assert transfer() == 0
    out = capsys.readouterr().out
    assert out.count("no sample photographs in content/images") == 1
    assert len(read_csv(tmp_path / "out/transfer/summary.csv")) == 1


def test_time_is_that_of_a_step_over_that_of_a_bare_pass(transfer, tmp_path, monkeypatch):
    """48 s for 3 steps of 2 images, while a pass of the 2 images takes 4 s: 48 / (6 · 2) = 4."""
    clock = iter([100.0, 148.0])
    monkeypatch.setattr(app_transfer, "pass_seconds", lambda *_: 4.0)
    monkeypatch.setattr(
        app_transfer, "time", type("Clock", (), {"perf_counter": lambda: next(clock)})
    )
    assert transfer() == 0
    (row,) = read_csv(tmp_path / "out/transfer/summary.csv")
    assert float(row["time"]) == 4


def test_recipes_of_one_name_get_folders_of_their_own(transfer, tmp_path):
    """No recipe's folder takes the name of the table."""
    (tmp_path / "summary.csv.yaml").write_text(RECIPE)
    (tmp_path / "more").mkdir()
    (tmp_path / "more/one.yaml").write_text(RECIPE)
    recipes = ("one.yaml", "more/one.yaml", "summary.csv.yaml")
    assert transfer("--classes", "2", "2", recipes=recipes) == 0
    rows = read_csv(tmp_path / "out/transfer/summary.csv")
    assert [row["recipe"] for row in rows] == ["one", "one_2", "summary.csv_image"]
    assert len(read_csv(tmp_path / "out/transfer/one_2/classes.csv")) == 1


def test_fresh_stands_for_the_classes_that_were_never_used(monkeypatch, transfer):
    asked = []
    monkeypatch.setattr(app_transfer, "report_transfer", lambda *given: asked.append(given))
    assert transfer("--classes", "fresh") == 0 and asked[0][2] == FRESH_CLASSES


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--classes", "7"], "one: class 7 does not exist"),
        (["--classes", "dog"], "no class names are known"),
        (["--classes", "predicted"], "indices or names"),
        (["--judges", "nobody"], "nobody"),
        (["-o", "objective=filter"], "one: transfer measures class images, not objective filter"),
        (["-o", "priors.zoom=[2, 1]"], "one: zoom must be two factors, the smaller first"),
        (["-o", "priors.zoom=[1]"], "two factors"),
        (["-o", "parametrisation=wavelets"], "unknown parametrisation 'wavelets'; use pixels"),
        (["-o", "fourier.lowest=0"], "one.yaml: fourier.lowest must be greater than 0"),
        (["-o", "steps=3"], "one.yaml: unknown key 'steps'"),
        (["--config", "none.yaml"], "error: no such config file: none.yaml"),
        (["--config", "one.yaml", "no.yaml"], "error: no such config file: no.yaml"),
        (["--config", "one.yaml", "slow.yaml"], "the configs differ in fast; set it for all"),
        (["--config", "one.yaml", "bad.yaml"], "bad: zoom must be two factors"),
    ],
)
def test_a_mistake_is_reported_in_one_sentence(transfer, tmp_path, capsys, arguments, message):
    (tmp_path / "slow.yaml").write_text(f"{RECIPE}fast: false\n")
    (tmp_path / "bad.yaml").write_text(f"{RECIPE}priors: {{zoom: [2, 1]}}\n")
    assert transfer(*arguments) == 2
    err = capsys.readouterr().err
    assert message in err and err.count("error: ") == 1 and "Traceback" not in err
    assert not list((tmp_path / "out").glob("**/*.png"))


def test_pictures_of_an_earlier_run_are_removed(transfer, tmp_path):
    """`evaluate pairs` would take them for pictures of this run."""
    assert transfer() == 0
    assert transfer("--classes", "2") == 0
    folder = tmp_path / "out/transfer/one"
    assert sorted(path.name for path in folder.glob("*.png")) == ["2.png", "sheet.png"]
