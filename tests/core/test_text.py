"""Texts from outside cannot command a terminal or a spreadsheet."""

import csv
import io

import hypothesis
import pytest
from hypothesis import strategies as st

from visualize_pd.core.text import printable, read_cell, safe_cell


@pytest.mark.parametrize(("text", "shown"), [
    ("red panda.jpg", "red panda.jpg"),
    ("小熊猫 · α → β", "小熊猫 · α → β"),
    ("  a table's cell", "  a table's cell"),
    ("a\x1b[31mred\x07", r"a\x1b[31mred\x07"),
    ("one\ntwo\r\n  three", "one two three"),
    ("photo‮gnp.exe", r"photo\u202egnp.exe"),
])  # fmt: skip
def test_control_characters_are_written_out(text, shown):
    assert printable(text) == shown


@pytest.mark.parametrize("formula", ["=1+1", "+1", "-2", "@SUM(A1)", "\t=1", "'=1", "''@x"])
def test_no_cell_begins_like_a_formula(formula):
    assert not safe_cell(formula).startswith(("=", "+", "-", "@", "\t"))
    assert read_cell(safe_cell(formula)) == formula


@pytest.mark.parametrize(
    "text", ["cat.jpg", "0.25", "it's", "'quoted'", "a=b", "C:\\photos\\x.png"]
)
def test_plain_cells_stay_readable(text):
    assert safe_cell(text).replace("\\x5c", "\\") == text
    assert read_cell(safe_cell(text)) == text


@hypothesis.given(st.text())
def test_every_text_comes_back(text):
    cell = safe_cell(text)
    assert read_cell(cell) == text
    assert not any(ord(c) < 32 or ord(c) == 127 for c in cell)
    file = io.StringIO()
    csv.writer(file).writerow([cell, "end"])
    assert next(csv.reader(io.StringIO(file.getvalue())))[0] == cell


def test_bytes_that_are_no_text_are_written_out():
    assert printable("caf\udce9.png") == "caf\\udce9.png"
    assert read_cell(safe_cell("caf\udce9.png")) == "caf\udce9.png"
    assert safe_cell("caf\udce9.png").isascii()
