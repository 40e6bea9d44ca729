"""The notebook runs from top to bottom, and shows what it says that it shows."""

import base64
import io
import os
import re
import sys
from importlib.util import find_spec
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from PIL import Image

ROOT = Path(__file__).parents[1]
NOTEBOOK = nbformat.read(ROOT / "Visualize-PP.ipynb", as_version=4)


def tagged(tag, cells):
    return [cell for cell in cells if tag in cell.metadata.get("tags", [])]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The notebook after a run with few iterations, without its cell that installs; its output."""
    output = tmp_path_factory.mktemp("notebook")
    notebook = nbformat.from_dict(NOTEBOOK)
    (install,) = tagged("install", notebook.cells)
    (parameters,) = tagged("parameters", notebook.cells)
    notebook.cells.remove(install)
    parameters.source += f"\nITERATIONS = 4\nOUTPUT = {str(output)!r}"
    environment = {k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"}
    environment["PATH"] = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])
    client = NotebookClient(notebook, timeout=240, resources={"metadata": {"path": ROOT}})
    client.execute(env=environment)
    return notebook.cells, output


def shown(cell, kind):
    """The pictures that a cell shows."""
    found = [out.data[kind] for out in cell.outputs if kind in out.get("data", {})]
    return [Image.open(io.BytesIO(base64.b64decode(data))) for data in found]


def cell_with(text, cells):
    (found,) = [cell for cell in cells if cell.cell_type == "code" and text in cell.source]
    return found


def test_it_runs_and_shows_what_it_says(run):
    """One test, because each process that tests in parallel would run the notebook anew."""
    cells, output = run
    for picture in ('"content/images/red_panda', '"content/images/tiger_cat', "PICTURE"):
        check_figure(cells, picture)
    check_commands(cells, output)
    check_animation(cells, output)
    if find_spec("gradio"):
        check_page(cells)


def check_figure(cells, picture):
    (figure,) = shown(cell_with(f"explain_image(classifier, {picture}", cells), "image/png")
    colours = figure.convert("RGB").getcolors(figure.width * figure.height)
    assert len(colours) > 1000 and figure.width > 600


def check_commands(cells, output):
    for text in ("method_1_pp.py", "method_2_pp.py"):
        said = "".join(out.get("text", "") for out in cell_with(text, cells).outputs)
        assert "→" in said and "error" not in said, said
    assert (output / "method_1/castle_pp.jpg").is_file()
    assert (output / "method_1/index.html").is_file()


def check_animation(cells, output):
    (animation,) = shown(cell_with("class_130.gif", cells), "image/gif")
    path = output / "method_2/class_130/class_130.gif"
    assert animation.n_frames == Image.open(path).n_frames > 1


def check_page(cells):
    outputs = cell_with("show_app", cells).outputs
    (frame,) = [out.data["text/html"] for out in outputs if "text/html" in out.get("data", {})]
    assert re.search(r'<iframe src="http://127\.0\.0\.1:\d+/" width="100%" height="900"', frame)


def test_every_step_is_told_in_both_languages():
    for cell in NOTEBOOK.cells:
        if cell.cell_type == "markdown":
            assert any("一" <= letter <= "鿿" for letter in cell.source), cell.source
            assert sum(letter.isascii() and letter.isalpha() for letter in cell.source) > 40


def test_it_is_kept_without_outputs():
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in NOTEBOOK.cells)
