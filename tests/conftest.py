"""What several tests share. Importing it from a test is not needed: these are fixtures."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import visualize_pd  # noqa: F401  (sets up Paddle before any test imports it)
from visualize_pd.network.fast import choose_ways, use_fast
from visualize_pd.network.fast.convolution import KINDS

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True, scope="session")
def cache(tmp_path_factory):
    """Failed downloads are remembered in a folder of the tests, not in the person's own."""
    before = os.environ.get("XDG_CACHE_HOME")
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))
    yield
    if before is None:
        del os.environ["XDG_CACHE_HOME"]
    else:
        os.environ["XDG_CACHE_HOME"] = before


@pytest.fixture(autouse=True, scope="session")
def usual_ways():
    """No layer is timed, so that last digits do not depend on what else the machine does."""
    choose_ways({name: kind.usual for name, kind in KINDS.items()})


@pytest.fixture
def run_script():
    """Run `method_1_pp.py` or `method_2_pp.py` in a process of its own; return what came of it."""

    def run(script: str, *arguments, timeout: float = 120, **options):
        environment = {**os.environ, **options.pop("env", {})}
        environment.pop("OMP_NUM_THREADS", None)  # Paddle wrote a 1 into this process's own
        return subprocess.run(
            [sys.executable, str(ROOT / script), *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=timeout,
            cwd=options.pop("cwd", ROOT),
            env=environment,
            **options,
        )

    return run


@pytest.fixture
def photograph(tmp_path):
    """Write a picture of smooth colours, 96 × 64; return its path."""

    def write(name: str = "photo.png", width: int = 96, height: int = 64) -> Path:
        y, x = np.mgrid[:height, :width]
        pixels = np.stack([x * 255 // width, y * 255 // height, (x + y) % 256], axis=2)
        path = tmp_path / name
        Image.fromarray(pixels.astype("uint8")).save(path)
        return path

    return write


@pytest.fixture
def time_limit():
    """Break off what takes too long, so that it fails in place of filling the memory."""
    if not hasattr(signal, "setitimer"):
        pytest.skip("no timers on this platform")

    @contextmanager
    def limit(seconds):
        def stop(number, stack):
            raise TimeoutError(f"took over {seconds} s")

        before = signal.signal(signal.SIGALRM, stop)
        signal.setitimer(signal.ITIMER_REAL, seconds)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)

    return limit


@pytest.fixture
def pipe(tmp_path, time_limit):
    """Make a pipe that nobody writes to: to open it waits for ever, here half a second."""
    with time_limit(0.5):

        def make(name: str) -> Path:
            os.mkfifo(tmp_path / name)
            return tmp_path / name

        yield make


@pytest.fixture(params=[True, False], ids=["fast", "plain"])
def fast_and_plain(request):
    """Run a test with the fast layers, and once more with Paddle's own alone."""
    use_fast(request.param)
    yield
    use_fast(True)
