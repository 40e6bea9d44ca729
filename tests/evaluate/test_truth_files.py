"""Files of boxes (CSV, JSON) and folders of masks: what is read, and what is refused."""

import json
from pathlib import Path

import pytest
from PIL import Image

from visualize_pd.core.errors import ConfigError
from visualize_pd.evaluate import Box, Truth, read_truth

PHOTOS = Path(__file__).parents[2] / "content" / "images"


def written(folder, name, content):
    path = folder / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content, encoding="utf-8")
    return path


TABLE = "file,x0,y0,x1,y1,class\nb.jpg,1,2,30,40,7\na.png,0,0,5,6,\nb.jpg,50,60,70,80.4,7\n"
EXPECTED = {
    "b.jpg": Truth(7, (Box(1, 2, 30, 40), Box(50, 60, 70, 80))),
    "a.png": Truth(None, (Box(0, 0, 5, 6),)),
}


def test_boxes_of_a_csv_file(tmp_path):
    assert read_truth(written(tmp_path, "boxes.csv", TABLE)) == EXPECTED
    assert read_truth(str(tmp_path / "boxes.csv")) == EXPECTED


@pytest.mark.parametrize(
    "text",
    [
        "\ufeff" + TABLE,
        TABLE.replace("\n", "\r\n"),
        TABLE.rstrip("\n"),
        "class,y1,x1,y0,x0,file\n7,40,30,2,1,b.jpg\n,6,5,0,0,a.png\n7,80,70,60,50,b.jpg\n",
        'author,"file",x0,y0,x1,y1,class\nI,"b.jpg",1,2,30,40,7\n"he, she",a.png,0,0,"5",6,\n'
        ",b.jpg,50,60,70,80,7\n",
    ],
    ids=["bom", "crlf", "no end", "order", "quotes"],
)
def test_csv_files_from_other_programs(tmp_path, text):
    assert read_truth(written(tmp_path, "boxes.csv", text.encode())) == EXPECTED


def test_a_file_name_with_line_breaks_is_one_name(tmp_path):
    """Only a line feed outside of quotes ends a row."""
    name = "a\x0cb\u2028c\nd.png"
    (tmp_path / "boxes.csv").write_bytes(f'file,x0,y0,x1,y1\r\n"{name}",1,2,3,4\r\n'.encode())
    assert read_truth(tmp_path / "boxes.csv") == {name: Truth(None, (Box(1, 2, 3, 4),))}


def test_a_csv_file_without_classes(tmp_path):
    path = written(tmp_path, "boxes.CSV", "file,x0,y0,x1,y1\nä_ö.jpg,1,2,3,4\n")
    assert read_truth(path) == {"ä_ö.jpg": Truth(None, (Box(1, 2, 3, 4),))}


ROWS = [
    {"file": "b.jpg", "x0": 1, "y0": 2, "x1": 30, "y1": 40, "class": 7},
    {"file": "a.png", "x0": 0, "y0": 0.0, "x1": 5, "y1": "6"},
    {"file": "b.jpg", "x0": 50, "y0": 60, "x1": 70, "y1": 80, "class": 7},
]


def one_row(**changes):
    """A JSON file with one box, whose keys are changed."""
    return json.dumps([{**ROWS[0], **changes}])


def test_boxes_of_a_json_file(tmp_path):
    assert read_truth(written(tmp_path, "boxes.json", json.dumps(ROWS))) == EXPECTED
    assert read_truth(written(tmp_path, "bom.JSON", "\ufeff" + json.dumps(ROWS))) == EXPECTED
    found = read_truth(written(tmp_path, "boxes.json", one_row(**{"class": None})))
    assert found == {"b.jpg": Truth(None, (Box(1, 2, 30, 40),))}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "", "must hold a list of boxes"),
        ("a.csv", "file,x0,y0,x1,y1\n", "must hold a list of boxes"),
        ("a.csv", "x0,y0,x1,y1\n1,2,3,4\n", "box 1 lacks one of file, x0"),
        ("a.csv", "file,x0,y0,x1\na,2,3,4\n", "box 1 lacks"),
        ("a.csv", "file;x0;y0;x1;y1\na;1;2;3;4\n", "box 1 lacks"),
        ("a.csv", "file,x0,y0,x1,y1\na,1,2,3,4\nb,1,2,3\n", "box 2 lacks"),
        ("a.csv", "file,x0,y0,x1,y1\n,1,2,3,4\n", "box 1 lacks"),
        ("a.csv", "file,x0,y0,x1,y1\na,1,,3,4\n", "box 1 lacks"),
        ("a.csv", "file,x0,y0,x1,y1\na,1,two,3,4\n", "box 1 has a value that is no number"),
        ("a.csv", "file,x0,y0,x1,y1\na,1,nan,3,4\n", "no number"),
        ("a.csv", "file,x0,y0,x1,y1\na,1,2,inf,4\n", "no number"),
        ("a.csv", "file,x0,y0,x1,y1\na,1,2,1e999,4\n", "no number"),
        ("a.csv", "file,x0,y0,x1,y1,class\na,1,2,3,4,cat\n", "no number"),
        ("a.csv", "file,x0,y0,x1,y1,class\na,1,2,3,4,1.5\n", "no number"),
        ("a.csv", "file,x0,y0,x1,y1\na,3,2,3,4\n", r"box 1 is empty: \[3, 2, 3, 4\]"),
        ("a.csv", "file,x0,y0,x1,y1\na,1,4,3,2\n", "is empty"),
        ("a.csv", "file,x0,y0,x1,y1\na,1.2,2,1.4,4\n", "is empty"),
        ("a.csv", b"file,x0,y0,x1,y1\n\xff\xfe,1,2,3,4\n", "cannot read"),
        ("a.csv", 'file,x0,y0,x1,y1\n"' + "a" * 200_000 + '",1,2,3,4\n', "cannot read"),
        ("a.json", "", "cannot read"),
        ("a.json", "{", "cannot read"),
        ("a.json", "[" * 100_000, "cannot read"),
        ("a.json", b"\x80\x81", "cannot read"),
        ("a.json", "{}", "must hold a list of boxes"),
        ("a.json", "[]", "must hold a list of boxes"),
        ("a.json", "7", "must hold a list of boxes"),
        ("a.json", "null", "must hold a list of boxes"),
        ("a.json", json.dumps({"boxes": ROWS}), "must hold a list of boxes"),
        ("a.json", "[1]", "box 1 lacks"),
        ("a.json", "[[1, 2, 3, 4]]", "box 1 lacks"),
        ("a.json", json.dumps([ROWS[0], {"file": "b.jpg"}]), "box 2 lacks"),
        ("a.json", one_row(x0=None), "box 1 lacks"),
        ("a.json", one_row(file=""), "box 1 lacks"),
        ("a.json", one_row(x0=[1]), "no number"),
        ("a.json", one_row(x0={}), "no number"),
        ("a.json", one_row(x0="left"), "no number"),
        ("a.json", one_row(x1=float("nan")), "no number"),
        ("a.json", one_row(x1=float("inf")), "no number"),
        ("a.json", one_row(x1=10**400), "no number"),
        ("a.json", one_row(x1=1), "is empty"),
        ("a.json", one_row(**{"class": "panda"}), "no number"),
        ("a.json", one_row(**{"class": [7]}), "no number"),
        ("a.json", one_row(**{"class": 7.5}), "no number"),
        ("a.json", one_row(**{"class": True}), "no number"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_file_without_a_list_of_boxes_is_refused(tmp_path, name, content, message):
    path = written(tmp_path, name, content)
    with pytest.raises(ConfigError, match=message) as error:
        read_truth(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


def test_missing_file_of_boxes(tmp_path):
    for name in ("boxes.csv", "boxes.json", "folder"):
        with pytest.raises(ConfigError, match=f"no such file of boxes: .*{name}"):
            read_truth(tmp_path / name)


@pytest.mark.parametrize("name", ["x" * 300, "a\0b", "\ud800", "~no one/boxes.csv"])
def test_impossible_file_names_are_refused(name):
    with pytest.raises(ConfigError, match="boxes"):
        read_truth(name)


def test_a_pipe_is_refused_at_once(pipe):
    with pytest.raises(ConfigError, match="is a pipe or a device"):
        read_truth(pipe("boxes.csv"))


def test_folder_without_masks_is_refused(tmp_path):
    written(tmp_path, "notes.txt", "no masks")
    with pytest.raises(ConfigError, match=f"{tmp_path.name} holds no masks"):
        read_truth(tmp_path)


def test_boxes_of_the_sample_photographs_fit_them():
    """Each photograph exists, has a class and contains its boxes."""
    for name, truth in read_truth(PHOTOS / "boxes.csv").items():
        with Image.open(PHOTOS / name) as picture:
            width, height = picture.size
        assert truth.target is not None and 0 <= truth.target < 1000
        for box in truth.boxes:
            assert 0 <= box.x0 < box.x1 <= width and 0 <= box.y0 < box.y1 <= height
