"""The package as pip installs it: its files, and the command in a folder outside a clone."""

import configparser
import os
import shutil
import subprocess
import sys

import pytest
from app_helpers import ROOT


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Build the source distribution, build a wheel from it and install that into a folder."""
    source, made, folder = (tmp_path_factory.mktemp(n) for n in ("source", "made", "installed"))
    for name in ("visualize_pd", "configs"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.py", "pyproject.toml", "README.md", "visualize_pd_command.py"):
        shutil.copy(ROOT / name, source)

    def python(*command, cwd):
        subprocess.run([sys.executable, *command], cwd=cwd, check=True, capture_output=True)

    build = "from setuptools import build_meta; build_meta.build_{}(r'{}')"
    python("-c", build.format("sdist", made), cwd=source)
    (archive,) = made.glob("*.tar.gz")
    shutil.unpack_archive(archive, made)
    python("-c", build.format("wheel", made), cwd=made / archive.name[: -len(".tar.gz")])
    (wheel,) = made.glob("*.whl")
    python("-m", "pip", "install", "--no-deps", "--no-index", "--target", folder, wheel, cwd=made)
    return folder


def test_install_brings_the_command_configs_and_class_names(installed):
    names = {path.name for path in (ROOT / "configs").iterdir()}
    assert {path.name for path in (installed / "visualize_pd/configs").iterdir()} == names
    assert (installed / "visualize_pd/models/imagenet_classes.txt").is_file()
    assert (installed / "visualize_pd/app/report/page.html").is_file()
    (points,) = installed.glob("*.dist-info/entry_points.txt")
    table = configparser.ConfigParser()
    table.read(points)
    assert dict(table["console_scripts"]) == {"visualize-pd": "visualize_pd_command:main"}


def test_installed_command_works_in_any_folder(installed, tmp_path, photograph):
    photograph("p.png")

    def command(*arguments):
        code = "import sys, visualize_pd_command as c; sys.exit(c.main())"
        return subprocess.run(
            [sys.executable, "-c", code, *arguments],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(installed)},
        )

    model = ["-o", "model=efficientnet_lite0", "-o", "images=p.png"]
    done = command("explain", "--config", "configs/grad_cam.yaml", *model)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "images/method_1/p_pp.jpg").is_file()
    done = command("explain")
    assert done.returncode == 2 and done.stderr.startswith("error: images is content/images")
    assert done.stderr.count("\n") == 1
