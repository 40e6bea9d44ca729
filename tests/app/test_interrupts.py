"""Runs that are stopped by Ctrl-C or a signal: exit code 130 and no half-written file."""

import functools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from app_helpers import EXPLAIN, GENERATE, ROOT, TINY_200, overrides, quick_arguments, wait_for
from PIL import Image

from visualize_pd.app.commands import weights as weights_command

SLOW_NETWORK = """
import time
import paddle

def net():
    class Slow(paddle.nn.Layer):
        def forward(self, images):
            print("at work", flush=True)
            for _ in range(300):
                time.sleep(0.05)
            return images.mean(axis=[2, 3])
    return Slow()
"""


def start(script, changes, **options):
    """Start a script with the slow network; return when its forward pass has begun."""
    Path("slow.py").write_text(SLOW_NETWORK)
    process = subprocess.Popen(
        [sys.executable, str(ROOT / script), *quick_arguments(script, changes)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )
    watch = threading.Timer(60, process.kill)
    watch.start()
    assert process.stdout.readline() == "at work\n"
    watch.cancel()
    return process


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize(
    "number, ignored",
    [(signal.SIGINT, False), (signal.SIGTERM, False), (signal.SIGTERM, True)],
    ids=["Ctrl-C", "kill", "kill in the background"],
)
def test_stopped_explain_run_writes_nothing(script_folder, number, ignored):
    """A shell starts a background process with SIGINT ignored. SIGTERM must still stop it."""
    handling = signal.SIG_IGN if ignored else signal.SIG_DFL  # not the inherited one
    prepare = functools.partial(signal.signal, signal.SIGINT, handling)
    process = start(EXPLAIN, {"model.name": "slow:net"}, preexec_fn=prepare)
    begun = time.monotonic()
    process.send_signal(number)
    try:
        _, err = process.communicate(timeout=5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        pytest.fail("the run was not stopped")
    assert time.monotonic() - begun < 5
    assert process.returncode == 130 and "Traceback" not in err
    assert not any(path.is_file() for path in Path("out").rglob("*"))


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_ascent_keeps_its_frames_and_its_record(tmp_path, number):
    settings = {"iterations": 100000, "frames.every": 100, "output": tmp_path, **TINY_200}
    process = subprocess.Popen(
        [sys.executable, str(ROOT / GENERATE), *overrides(settings)],
        cwd=ROOT / "tests",
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    folder = tmp_path / "method_2/class_130"
    wait_for(folder / "pp/c_130_iter_100_pp.png")
    process.send_signal(number)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    made = record["frames"][-1]["iteration"]
    assert not record["complete"] and 100 <= made < 100000
    with Image.open(folder / "class_130.gif") as gif:
        assert gif.n_frames == len(record["frames"]) == len(list((folder / "pp").iterdir()))
    assert not list(tmp_path.rglob("*.partial"))
    assert f"{made} iterations" in output


def test_interrupted_command_returns_130(run_command, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(weights_command, "check_weights", interrupted)
    assert run_command("weights", "check", "file") == (130, "", "interrupted\n")
