"""`python -m visualize_pd.evaluate pairs`: blind pictures, a table to fill in, and the counts."""

import json

import numpy as np
import pytest
from app_helpers import read_csv
from PIL import Image

from visualize_pd.app.commands.evaluate import evaluate_command
from visualize_pd.evaluate import lay_out

BLUE, GREEN = (0, 0, 255), (0, 255, 0)


def paint(folder, classes, colour, side=16):
    folder.mkdir()
    for target in classes:
        Image.new("RGB", (side, side), colour).save(folder / f"{target}.png")
    Image.new("RGB", (50, 20)).save(folder / "sheet.png")


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """Two recipes with four classes in common. The pictures of one are blue, the others green."""
    monkeypatch.chdir(tmp_path)
    paint(tmp_path / "blue", [1, 7, 20, 33, 5], BLUE)
    paint(tmp_path / "green", [1, 7, 20, 33, 6], GREEN)
    (tmp_path / "blue/classes.csv").write_text("class,name\n1,goldfish\n7,'=cock\n")
    return tmp_path


def pairs(*arguments):
    return evaluate_command(["pairs", *arguments])


def colour_of(picture, share):
    """The colour in the middle of the left or of the right picture of a pair."""
    pixels = np.asarray(picture)
    return tuple(pixels[pixels.shape[0] // 2, int(share * pixels.shape[1])])


def test_pictures_lie_as_the_key_says(folders, capsys):
    assert pairs("blue", "green", "--output", "out", "--seed", "4") == 0
    assert "pairs: 4 → out" in capsys.readouterr().out
    key = json.loads((folders / "out/key.json").read_text())
    assert key["folders"] == ["blue", "green"] and key["seed"] == 4
    assert sorted(entry["class"] for entry in key["pairs"]) == [1, 7, 20, 33]
    for entry in key["pairs"]:
        picture = Image.open(folders / "out" / f"{entry['pair']}.png")
        colours = {"blue": BLUE, "green": GREEN}
        assert colour_of(picture, 0.25) == colours[entry["left"]]
        assert colour_of(picture, 0.75) == colours[entry["right"]]
    laid_out = lay_out([1, 7, 20, 33], 4)
    assert [entry["class"] for entry in key["pairs"]] == [pair.target for pair in laid_out]
    assert [entry["left"] for entry in key["pairs"]].count("blue") == 2
    answers = read_csv(folders / "out/answers.csv")
    assert [row["pair"] for row in answers] == [f"pair_0{n}" for n in range(1, 5)]
    assert all(row["more_like_the_class"] == row["better_picture"] == "" for row in answers)


def test_nothing_but_the_key_tells_whose_picture_it_is(folders):
    assert pairs("blue", "green", "--output", "out") == 0
    names = sorted(path.name for path in (folders / "out").iterdir())
    assert names == ["answers.csv", "key.json", *(f"pair_0{n}.png" for n in range(1, 5))]
    for path in (folders / "out").glob("*.png"):
        assert not Image.open(path).info and b"blue" not in path.read_bytes()
    assert "blue" not in (folders / "out/answers.csv").read_text()


def test_caption_is_the_name_of_the_class(folders, monkeypatch):
    from visualize_pd.app import drawing

    captions, real = [], drawing.figure
    monkeypatch.setattr(
        drawing, "figure", lambda rows, text, **k: captions.append(text) or real(rows, text, **k)
    )
    assert pairs("blue", "green", "--output", "out") == 0
    assert sorted(captions) == ["=cock", "class 20", "class 33", "goldfish"]


def test_size_of_a_pair_does_not_tell_on_which_side_the_smaller_picture_is(folders):
    paint(folders / "small", [1], BLUE, side=100)
    paint(folders / "large", [1], GREEN, side=300)
    sizes, sides = set(), set()
    for seed in range(8):
        assert pairs("small", "large", "--output", f"out{seed}", "--seed", str(seed)) == 0
        picture = Image.open(folders / f"out{seed}/pair_01.png")
        sizes.add(picture.size)
        sides.add(colour_of(picture, 0.25))
    assert len(sides) == 2 and len(sizes) == 1
    assert sizes.pop()[0] > 2 * 2 * 300  # the smaller one was enlarged, and each pixel is doubled


def fill(folder, choose):
    """Fill in the answers: `choose` gets the entry of the key, and returns two sides."""
    key = json.loads((folder / "key.json").read_text())
    lines = [",".join((entry["pair"], *choose(entry))) for entry in key["pairs"]]
    text = "\n".join(["pair,more_like_the_class,better_picture", *lines])
    (folder / "answers.csv").write_text(f"\ufeff{text}\n", encoding="utf-8")


def test_score_counts_the_answers_per_folder(folders, capsys):
    """The green picture is always more like the class. The left one is always the better one."""
    pairs("blue", "green", "--output", "out")
    fill(folders / "out", lambda e: ("left" if e["left"] == "green" else "Right", "left"))
    capsys.readouterr()
    assert pairs("--score", "out") == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        ["more", "like", "the", "class,", "of", "4:"],
        ["0", "blue"],
        ["4", "green"],
        ["p", "=", "0.125", "(sign", "test,", "two-sided)"],
        ["better", "picture,", "of", "4:"],
        ["2", "blue"],
        ["2", "green"],
        ["p", "=", "1", "(sign", "test,", "two-sided)"],
    ]


def test_answers_are_never_written_over(folders, capsys):
    pairs("blue", "green", "--output", "out")
    before = (folders / "out/answers.csv").read_bytes()
    assert pairs("blue", "green", "--output", "out", "--seed", "1") == 2
    assert "holds answers already; choose another folder" in capsys.readouterr().err
    assert (folders / "out/answers.csv").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["blue", "nothing"], "no such folder of pictures: nothing"),
        (["blue", "blue"], "are the same folder"),
        (["blue", "other"], "no pictures of the same class"),
        (["blue", "broken"], "cannot read"),
        (["blue"], "pairs needs two folders of pictures"),
        ([], "pairs needs two folders of pictures"),
        (["blue", "green", "--score", "out"], "or --score DIR alone"),
        (["blue", "green", "--output", "blue/1.png/x"], "cannot write"),
        (["--score", "green"], "no such key: green/key.json"),
        (["--score", "empty"], "better_picture must be left or right, not ''"),
        (["--score", "half"], "no answer for pair_02"),
        (["--score", "twice"], "two lines for one pair"),
        (["--score", "columns"], "must have the columns pair,more_like_the_class,better_picture"),
        (["--score", "gone"], "no such table: gone/answers.csv"),
        (["--score", "bad_key"], "is not a key that evaluate pairs has written"),
        (["--score", "binary"], "it is not a text in UTF-8"),
    ],
)
def test_a_mistake_is_reported_in_one_sentence(folders, capsys, arguments, message):
    paint(folders / "other", [99], GREEN)
    paint(folders / "broken", [1], GREEN)
    (folders / "broken/1.png").write_bytes((folders / "green/1.png").read_bytes()[:60])
    head = "pair,more_like_the_class,better_picture\n"
    two = {"pair": "pair_01", "class": 1, "left": "a"}, {"pair": "pair_02", "class": 2, "left": "b"}
    for name, text in {
        "empty": f"{head}pair_01,left,\npair_02,left,left\n",
        "half": f"{head}pair_01,left,left\n",
        "twice": f"{head}pair_01,left,left\npair_01,left,left\n",
        "columns": "pair_01,left,left\n",
        "bad_key": head,
        "binary": "",
        "gone": "",
    }.items():
        (folders / name).mkdir()
        key = {"folders": ["a", "b", "c"][: 3 if name == "bad_key" else 2], "pairs": two}
        (folders / name / "key.json").write_text(json.dumps(key))
        (folders / name / "answers.csv").write_text(text)
    (folders / "binary/answers.csv").write_bytes(b"\xff\xfe\x00")
    (folders / "gone/answers.csv").unlink()
    assert pairs(*arguments) == 2
    err = capsys.readouterr().err
    assert message in err and err.count("error: ") == 1 and "Traceback" not in err
