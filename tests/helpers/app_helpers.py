"""What the tests in `app/` share: settings, calls of the scripts, readers of the written files."""

import csv
import json
import re
import time
from pathlib import Path

from PIL import Image

from visualize_pd import load_model
from visualize_pd.app.commands.scripts import explain_command, generate_command

ROOT = Path(__file__).parents[2]
EXPLAIN, GENERATE = "method_1_pp.py", "method_2_pp.py"
SCRIPTS = [EXPLAIN, GENERATE]
# A network of 3 classes, one of 200 classes, and the packaged one with ImageNet's 1000.
TINY = {"model": "{name: tiny:small_net, image_size: 32}"}
TINY_200 = {"model": "{name: tiny:small_net, num_classes: 200, image_size: 32}"}
LITE = {"model": "efficientnet_lite0"}
# An ascent without anything random, and with weak penalties.
STILL = {
    **{
        "priors.shift": 0,
        "priors.rotation": 0,
        "priors.zoom": "[1, 1]",
        "priors.last_zoom": "null",
    },
    **{"priors.colour_jitter": 0, "priors.noise": 0, "priors.colour_variation": 0},
    **{"priors.total_variation": 0.004, "priors.alpha_norm": 0, "learning_rate": 0.5},
}


def tiny_network():
    return load_model("tiny:small_net", image_size=32).network


def overrides(settings):
    """The command-line arguments `-o key=value` for a dict of settings."""
    return [word for key, value in settings.items() for word in ("-o", f"{key}={value}")]


def quick_arguments(script, changes):
    """The arguments of a short run that succeeds, with some settings changed."""
    tiny = {"model.name": "tiny:small_net", "model.image_size": "32", "model.fallback": "null"}
    own = {"images": "photo.png"} if script == EXPLAIN else {"target": "1", "iterations": "3"}
    return overrides({**tiny, **own, "device": "cpu", "output": "out", **changes})


def run_explain(output, code=0, config="saliency", **settings):
    """Explain images in this process; return the folder of the figures."""
    arguments = overrides({"output": output, **settings})
    assert explain_command(ROOT / f"configs/{config}.yaml", arguments) == code
    return output / "method_1"


def run_generate(output, code=0, config="class_image", resume=False, **settings):
    """Generate an image in this process; return the folder above that of the run."""
    arguments = overrides({"output": output, **settings}) + ["--resume"] * resume
    assert generate_command(ROOT / f"configs/{config}.yaml", arguments) == code
    return output / "method_2"


def read_run(folder):
    """The record of a generated image, and its frames as {iteration: picture}."""
    record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    frames = {row["iteration"]: Image.open(folder / row["file"]) for row in record["frames"]}
    return record, frames


def read_csv(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def strict_json(path):
    """Read a JSON file; refuse NaN and Infinity, which Python reads and the standard forbids."""

    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)


def contents(folder):
    """The files below a folder, as {relative path: bytes}."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder): path.read_bytes() for path in files}


def stderr_lines(text):
    """The lines of stderr without the progress bars and the reports of skipped images."""
    lines = [line.strip() for line in re.split(r"[\r\n]+", text)]
    lines = [line for line in lines if line and not re.search(r"\d+%\|", line)]
    return [line for line in lines if not line.startswith("skipped: ")]


def table_row(output, name):
    """The cells of the row of a printed table that begins with a name."""
    (line,) = [line for line in output.splitlines() if line.split("  ")[0] == name]
    return [cell.strip() for cell in line.split("  ") if cell.strip()]


def wait_for(file, seconds=60):
    """Wait until a process has written a file, but not for ever."""
    deadline = time.time() + seconds
    while not file.exists() and time.time() < deadline:
        time.sleep(0.02)


class Hostile:
    """A pickle of this object calls a function when it is loaded with plain `pickle.load`."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call
