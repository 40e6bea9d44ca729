"""Output that cannot be written: a bad folder, a full disk, a terminal without Unicode."""

from pathlib import Path

import pytest
from app_helpers import EXPLAIN, GENERATE, SCRIPTS, quick_arguments, stderr_lines
from PIL import Image

try:
    import resource
except ImportError:  # Windows
    resource = None


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize(
    "output",
    ["photo.png", "photo.png/below", '"a\\0b"', "x" * 300, "x/" * 3000]
    + (["/proc", "/proc/below"] if Path("/proc/self").exists() else []),
)
def test_output_folder_cannot_be_written(run_error, script, output):
    assert "cannot write" in run_error(script, {"output": output})


def test_output_may_be_the_current_folder(run_quick):
    assert run_quick(EXPLAIN, {"output": "."})[0] == 0
    assert Path("method_1/photo_pp.jpg").is_file()


@pytest.mark.skipif(resource is None, reason="this platform has no limits on file sizes")
@pytest.mark.parametrize(
    "script, limit, changes, whole",
    [
        # Each frame fits into the limit, and so does the saved state. The animation does not.
        (GENERATE, 70_000, {"iterations": "40", "frames.every": "1", "animation.size": "200"}, 42),
    ],
)
def test_full_disk_leaves_only_whole_files(
    run_script, script_folder, script, limit, changes, whole
):
    done = run_script(
        script,
        *quick_arguments(script, changes),
        cwd=script_folder,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    lines = stderr_lines(done.stderr)
    assert done.returncode == 2, done.stderr
    assert len(lines) == 1 and lines[0].startswith("error: cannot write "), done.stderr
    made = [path for path in Path("out").rglob("*") if path.is_file()]
    assert len(made) == whole and {path.suffix for path in made} <= {".png", ".safetensors"}
    assert not any("partial" in path.name for path in Path().rglob("*"))
    for path in made:
        if path.suffix == ".png":
            Image.open(path).load()


@pytest.mark.parametrize(("script", "encoding"), [*zip(SCRIPTS, ["ascii", "cp1252"])])
def test_terminal_that_cannot_show_every_character(run_script, script_folder, script, encoding):
    done = run_script(
        script, *quick_arguments(script, {}), cwd=script_folder, env={"PYTHONIOENCODING": encoding}
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr and done.stdout.count("%") >= 1
