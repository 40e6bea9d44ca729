"""Data flows one way: a file imports only from lower levels."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "visualize_pd"
LEVELS = [
    {"errors"},
    {"files"},
    {
        "runtime",
        "config",
        "images",
        "targets",
        "hooks",
        "onednn",
        "priors",
        "features",
        "baselines",
    },
    {"summary", "webpage", "engine", "convolution"},
    {"quick"},
    {"parametrisations"},
    {"models", "gradients", "passes", "objectives"},
    {"saliency", "cam", "perturbation", "synthesis", "render"},
    {"methods"},
    {"attribution", "plans"},
    {"figures"},
    {"explain"},
    {"__init__"},
    {"generate"},
    {"cli"},
    {"evaluate", "examples"},
    {"main"},
    {"__main__"},
]
LEVEL = {name: level for level, names in enumerate(LEVELS) for name in names}


def room_of(path):
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return parts[0]


def imports_of(path):
    """The rooms that a file imports, however deep in its functions."""
    depth = len(path.relative_to(PACKAGE).parts)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            assert not any(name.name.startswith("visualize_pd") for name in node.names)
        if isinstance(node, ast.ImportFrom):
            assert not (node.module or "").startswith("visualize_pd")
            if node.level == depth:  # from the package's top
                if node.module:
                    yield node.module.partition(".")[0]
                else:
                    for name in node.names:
                        yield name.name if name.name in LEVEL else "__init__"


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: p.name)
def test_imports_come_from_lower_levels(path):
    room = room_of(path)
    for imported in imports_of(path):
        assert LEVEL[imported] < LEVEL[room], f"{room} imports {imported}"


def test_gradients_are_taken_in_one_place():
    callers = {
        room_of(path) for path in PACKAGE.rglob("*.py") if "paddle.grad(" in path.read_text("utf-8")
    }
    assert callers == {"gradients"}
