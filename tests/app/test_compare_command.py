"""`evaluate compare A B`: the table, its words, the files, and what it refuses."""

import json

import numpy as np
import pytest
from app_helpers import ROOT, TINY, overrides, read_csv, table_row

from visualize_pd.app.commands.evaluate import evaluate_command
from visualize_pd.evaluate import bootstrap_difference
from visualize_pd.evaluate.measures import MEASURES, Measured

pytestmark = pytest.mark.usefixtures("tests_folder")
COUNT = 7


@pytest.fixture
def pictures(tmp_path, photograph):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for n in range(COUNT):
        photograph(f"pictures/{n}.png", 40 + 4 * n, 32)
    return folder


@pytest.fixture
def compare(tmp_path, pictures):
    def run(first, second, code=0, **settings):
        keys = {"images": pictures, "truth": "null", "target": "predicted", "steps": 3, **TINY}
        keys.update(output=tmp_path / "out", **settings)
        config = str(ROOT / "configs" / "evaluate.yaml")
        arguments = ["compare", first, second, "--config", config, *overrides(keys)]
        assert evaluate_command(arguments) == code
        return tmp_path / "out" / "compare"

    return run


def test_numbers_are_those_of_the_rows(compare, capsys):
    """Means, the paired test, and the same words in the table and in the files."""
    folder = compare("saliency", "{name: gradient, channel: sum}", measures="[insertion, deletion]")
    rows = read_csv(folder / "results.csv")
    assert len(rows) == 2 * COUNT
    found = read_csv(folder / "comparison.csv")
    assert [row["measure"] for row in found] == ["insertion", "deletion"]
    out = capsys.readouterr().out
    for row in found:
        first, second = (
            [float(each[row["measure"]]) for each in rows if each["method"] == title]
            for title in ("Saliency", "Gradient")
        )
        wanted = bootstrap_difference(first, second)
        numbers = [float(row[key]) for key in ("difference", "low", "high", "p_value", "images")]
        assert numbers == pytest.approx(list(wanted))
        assert float(row["first"]) == pytest.approx(np.mean(first))
        assert float(row["second"]) == pytest.approx(np.mean(second))
        assert table_row(out, row["measure"])[-1] == row["verdict"]
    record = json.loads((folder / "comparison.json").read_text())
    assert record["methods"] == ["Saliency", "Gradient"] and record["images"] == COUNT
    assert [each["verdict"] for each in record["comparisons"]] == [row["verdict"] for row in found]


@pytest.fixture
def made_up(monkeypatch):
    """Measures with known numbers: a list for each of the two methods, one after the other."""

    def register(name, first, second):
        numbers = iter([value for pair in zip(first, second) for value in pair])
        monkeypatch.setitem(MEASURES, name, lambda _: Measured({name: next(numbers)}))

    return register


@pytest.mark.parametrize(
    ("name", "shift", "spread", "verdict"),
    [
        ("insertion", 1, 0.1, "Saliency is better"),  # high is good
        ("insertion", -1, 0.1, "Grad-CAM is better"),
        ("deletion", 1, 0.1, "Grad-CAM is better"),  # low is good
        ("deletion", -1, 0.1, "Saliency is better"),
        ("insertion", 1, 9, "no difference seen with 7 images"),
        ("deletion", 0, 0, "no difference seen with 7 images"),
    ],
)
def test_verdict_in_words(compare, made_up, capsys, name, shift, spread, verdict):
    other = np.arange(COUNT) * 10.0
    made_up(name, other + shift + spread * (-1.0) ** np.arange(COUNT), other)
    compare("saliency", "grad_cam", measures=f"[{name}]")
    assert table_row(capsys.readouterr().out, name)[-1] == verdict


def test_pictures_without_the_number_are_left_out(compare, made_up, capsys):
    nan = [np.nan] * 6
    made_up("pointing_game", [1.0, *nan], [1.0, 1.0, *nan[1:]])
    made_up("increase", [np.nan, 1, 2, 3, 4, 5, 6], np.zeros(7))
    folder = compare("saliency", "grad_cam", measures="[pointing_game, increase]")
    out = capsys.readouterr().out
    assert table_row(out, "pointing_game")[-1] == "not known, with 1 image"
    assert table_row(out, "increase")[-1] == "Saliency is better"
    first, second = json.loads((folder / "comparison.json").read_text())["comparisons"]
    assert first["p_value"] is None and second["images"] == 6


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ("saliency", "saliency", "both methods are saliency with the same options"),
        ("gradient", "{name: gradient, sign: signed}", "both methods are gradient"),
        ("saliency", "nothing", "unknown method 'nothing'"),
        ("saliency", "[grad_cam", "a method, line 1 is not valid YAML"),
        ("saliency", "3", "methods must be a list"),
    ],
)
def test_wrong_methods_are_refused(compare, capsys, first, second, message):
    compare(first, second, code=2)
    err = capsys.readouterr().err
    assert message in err and err.count("error: ") == 1 and "Traceback" not in err


def test_one_image_or_an_unknown_measure_is_refused(compare, capsys, pictures, tmp_path):
    compare("saliency", "grad_cam", code=2, images=pictures / "0.png")
    assert "a comparison needs at least 2 images, not 1" in capsys.readouterr().err
    compare("saliency", "grad_cam", code=2, measures="[beauty]")
    assert "unknown measure 'beauty'" in capsys.readouterr().err
    for n in range(1, COUNT):
        (pictures / f"{n}.png").write_bytes(b"no picture")
    compare("saliency", "grad_cam", code=2, measures="[sparseness]")
    assert "a comparison needs at least 2 images, not 1" in capsys.readouterr().err
