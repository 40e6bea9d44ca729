"""The help of the commands, and what they say about wrong arguments or a missing PaddlePaddle."""

import os
import subprocess
import sys

import pytest
from app_helpers import ROOT, SCRIPTS


def run_without_paddle(script, *arguments, **environment):
    """Run a script where `import paddle` fails, as on a machine without PaddlePaddle."""
    code = f"""
import runpy, sys
class Hide:
    def find_spec(self, name, path=None, target=None):
        if name == 'paddle': raise ModuleNotFoundError('no module paddle', name=name)
sys.modules.pop('paddle', None)
sys.meta_path.insert(0, Hide())
sys.path.insert(0, {str(ROOT)!r})
sys.argv = ['visualize-pd', *sys.argv[1:]]
runpy.run_path({str(ROOT / script)!r}, run_name='__main__')
"""
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_of_a_script_shows_examples(run_script, script):
    done = run_script(script, "--help")
    assert done.returncode == 0 and f"python {script}" in done.stdout and "-o" in done.stdout


@pytest.mark.parametrize(("name", "others"), [("explain", "method_1"), ("generate", "method_2")])
def test_help_of_explain_and_generate_names_the_command(run_command, name, others):
    code, output, _ = run_command(name, "--help")
    assert code == 0 and f"usage: visualize-pd {name}" in output
    assert f"\n  visualize-pd {name} -o" in output and others not in output


@pytest.mark.parametrize(
    "arguments",
    ["--help", "weights --help", "methods --help", "weights convert --help", "models -h"],
)
def test_help_needs_no_paddle(arguments):
    done = run_without_paddle(
        "visualize_pd_command.py", *arguments.split(), PYTHONIOENCODING="ascii"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("usage: visualize-pd")
    if arguments == "--help":
        for name in (
            "explain",
            "generate",
            "concepts",
            "evaluate",
            "app",
            "models",
            "methods",
            "weights",
        ):
            assert f"\n  {name} " in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [["explian"], ["weights", "melt"], ["methods", "saliency", "--all"]],
)
def test_unknown_arguments_are_refused(run_command, arguments):
    code, output, errors = run_command(*arguments)
    assert code == 2 and output == "" and errors.startswith("usage: visualize-pd")


@pytest.mark.parametrize(
    "arguments",
    [["explain"], ["evaluate", "sanity"], ["methods"], ["weights", "download", "alexnet"]],
)
def test_command_without_paddle_names_the_extra_to_install(arguments):
    done = run_without_paddle("visualize_pd_command.py", *arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("error: PaddlePaddle is not installed")
    assert ".[cpu]" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("script", SCRIPTS)
def test_script_without_paddle_names_the_extra_to_install(script):
    done = run_without_paddle(script)
    assert done.returncode == 2
    assert done.stderr.startswith("error: PaddlePaddle is not installed")
    assert ".[cpu]" in done.stderr and ".[gpu]" in done.stderr and "Traceback" not in done.stderr


def test_command_without_the_package_says_so():
    command = [sys.executable, "-I", "-S", str(ROOT / "visualize_pd_command.py")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == "error: the package visualize_pd is not installed\n"
