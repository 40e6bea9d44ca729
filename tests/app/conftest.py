"""Fixtures that two or more of these files use."""

import logging
import signal
import sys
from pathlib import Path

import paddle
import pytest
import tiny
from app_helpers import (
    EXPLAIN,
    GENERATE,
    ROOT,
    TINY,
    contents,
    quick_arguments,
    run_generate,
    stderr_lines,
)

from visualize_pd.app.commands.main import main
from visualize_pd.app.commands.scripts import explain_command, generate_command
from visualize_pd.app.config.reading import load_config
from visualize_pd.core.errors import ConfigError


@pytest.fixture
def tests_folder(monkeypatch):
    """Work in `tests/`, where a script finds the network `tiny:small_net`."""
    monkeypatch.chdir(ROOT / "tests")


@pytest.fixture
def empty_folder(monkeypatch, tmp_path):
    """Work in an empty folder; afterwards undo the commands' signal handler and logging."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    logger = logging.getLogger("visualize_pd")
    handlers, propagate = list(logger.handlers), logger.propagate
    before = signal.getsignal(signal.SIGTERM)
    yield tmp_path
    signal.signal(signal.SIGTERM, before)
    logger.handlers[:], logger.propagate = handlers, propagate


@pytest.fixture
def run_quick(capsys, empty_folder, photograph):
    """Run a script in this process, by default a short run on `photo.png` with some changes.

    Returns the exit code, stdout and stderr.
    """
    photograph("photo.png")
    scripts = {
        EXPLAIN: (explain_command, ROOT / "configs/saliency.yaml"),
        GENERATE: (generate_command, ROOT / "configs/class_image.yaml"),
    }

    def run(script, changes=(), arguments=None):
        command, default = scripts[script]
        words = quick_arguments(script, dict(changes)) if arguments is None else arguments
        capsys.readouterr()
        code = command(default, words)
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.fixture
def run_error(run_quick):
    """Run a script that must fail: one line `error: …`, exit code 2, no file; return stderr."""

    def run(script, changes=(), arguments=None):
        before = contents(Path())
        code, out, err = run_quick(script, changes, arguments)
        lines = stderr_lines(err)
        assert len(lines) == 1 and lines[0].startswith("error: "), err
        assert code == 2 and out == ""
        assert contents(Path()) == before, "something was written"
        return err

    return run


@pytest.fixture
def script_folder(empty_folder, photograph):
    """The folder to start a script in as a process: it holds a picture and the tiny network."""
    photograph("photo.png")
    (empty_folder / "tiny.py").write_text(Path(tiny.__file__).read_text())
    return empty_folder


@pytest.fixture
def run_command(capsys):
    """Run `visualize-pd` in this process; return the exit code, stdout and stderr."""

    def run(*arguments):
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as stop:  # argparse
            code = stop.code
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def command_error(run_command):
    """Run a `visualize-pd` that must fail with one line and exit code 2; return the line."""

    def run(*arguments):
        code, _, errors = run_command(*arguments)
        assert code == 2
        assert errors.startswith("error: ") and errors.count("\n") == 1, errors
        return errors

    return run


@pytest.fixture
def network_file(tmp_path):
    """A `.pdparams` of `tiny:small_net` with three classes."""
    path = tmp_path / "net.pdparams"
    paddle.save(tiny.small_net().state_dict(), str(path))
    return path


@pytest.fixture
def read_config(tmp_path):
    """Write a YAML text to a file and load it with overrides."""

    def read(schema, text="", *overrides):
        path = tmp_path / "config.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return load_config(schema, path, overrides)

    return read


@pytest.fixture
def config_error(read_config):
    """Load a YAML text that must be refused; return the message, which is one line."""

    def read(schema, text="{}", *overrides):
        with pytest.raises(ConfigError) as caught:
            read_config(schema, text, *overrides)
        message = str(caught.value)
        assert "\n" not in message
        return message

    return read


@pytest.fixture
def generate(tmp_path, tests_folder):
    """Generate an image with the tiny network; return the folder above that of the run."""

    def run(config, code=0, resume=False, **settings):
        settings = {**TINY, "frames.every": "2", **settings}
        return run_generate(tmp_path, code, config, resume, **settings)

    return run
