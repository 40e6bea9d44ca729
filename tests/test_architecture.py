"""Imports go down only: between the folders of the package, and inside each of them."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "visualize_pd"
# From the top to the bottom. Folders on one line do not import each other.
FLOORS = [
    ["app"],
    ["evaluate"],
    ["attribution", "synthesis"],
    ["models"],
    ["network"],
    ["core"],
]
FLOOR = {folder: -n for n, folders in enumerate(FLOORS) for folder in folders}
# They start the app, or name what is public. Nothing imports them.
TOP = {"__init__", "__main__"}
FILES = sorted(PACKAGE.rglob("*.py"))


def imports_of(path):
    """The parts of the path, from the package on, of everything that a file imports from it."""
    home = path.relative_to(PACKAGE).parts[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            assert not any(name.name.startswith("visualize_pd") for name in node.names)
        if isinstance(node, ast.ImportFrom):
            assert not (node.module or "").startswith("visualize_pd")
            if node.level:
                start = (*home[: len(home) - node.level + 1], *(node.module or "").split("."))
                for name in node.names:
                    whole = tuple(part for part in (*start, name.name) if part)
                    is_module = (PACKAGE.joinpath(*whole)).is_dir() or (
                        PACKAGE.joinpath(*whole).with_suffix(".py").is_file()
                    )
                    yield whole if is_module else whole[:-1]


def identity(path):
    return str(path.relative_to(PACKAGE))


def test_every_folder_has_a_floor():
    found = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").is_file()}
    assert found == set(FLOOR)


@pytest.mark.parametrize("path", FILES, ids=identity)
def test_imports_between_folders_go_down(path):
    folder = path.relative_to(PACKAGE).parts[0]
    if path.stem == "__main__" or folder not in FLOOR:
        return
    for imported in imports_of(path):
        other = imported[0]
        assert other == folder or FLOOR[other] < FLOOR[folder], f"{folder} imports {other}"


def folders():
    return sorted({path.parent for path in FILES})


@pytest.mark.parametrize("folder", folders(), ids=identity)
def test_imports_inside_a_folder_go_one_way(folder):
    """Between the files and folders that lie in one folder there is no circle."""
    depth = len(folder.relative_to(PACKAGE).parts)
    needs = {}
    for path in folder.rglob("*.py"):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        if parts[-1] in TOP and len(parts) == depth + 1:
            continue  # it names what is public, or starts the app
        own = needs.setdefault(parts[depth], set())
        if path.stem == "__main__":
            continue
        for imported in imports_of(path):
            inside = imported[:depth] == parts[:depth] and len(imported) > depth
            if inside and imported[depth] != parts[depth]:
                own.add(imported[depth])
    while needs:
        lowest = {name for name, below in needs.items() if not below & needs.keys()}
        assert lowest, f"a circle: {needs}"
        needs = {name: below for name, below in needs.items() if name not in lowest}


def test_sizes():
    """At most nine things side by side, 350 lines in a file and 50 in a function."""
    for folder in folders():
        found = [path for path in folder.iterdir() if path.name != "__pycache__"]
        files = [path for path in found if path.is_file()]
        assert len(files) <= 9, folder
        assert folder != PACKAGE or len(found) <= 9
    for path in FILES:
        text = path.read_text(encoding="utf-8")
        assert len(text.splitlines()) <= 350, path
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                assert node.end_lineno - node.lineno < 50, f"{path}: {node.name}"


def test_every_folder_says_what_it_is():
    for folder in folders():
        text = (folder / "__init__.py").read_text(encoding="utf-8")
        assert len(ast.get_docstring(ast.parse(text)).splitlines()[0]) > 20, folder


def test_gradients_are_taken_in_one_place():
    callers = {
        str(path.relative_to(PACKAGE))
        for path in FILES
        if "paddle.grad(" in path.read_text(encoding="utf-8")
    }
    assert callers == {"network/gradients.py"}


def test_only_the_app_draws():
    """Arrays become pictures in one folder, which no computing folder can import."""
    for path in FILES:
        folder = path.relative_to(PACKAGE).parts[0]
        if folder != "app":
            assert "ImageDraw" not in path.read_text(encoding="utf-8")
