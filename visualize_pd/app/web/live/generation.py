"""A run of method 2, step by step, in a folder of its own; and its files for a download."""

from __future__ import annotations

import dataclasses
import io
import shutil
import tempfile
import threading
import weakref
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml
from PIL import Image

from ....core.checks import check_count
from ....core.config import as_dict, build
from ....core.files import alone_in
from ....core.images import load_image
from ....core.stopping import check_stop
from ....models.classifier import Classifier, network_errors
from ....models.config import ModelConfig
from ....synthesis.builder import check_maker, configured_size
from ... import drawing
from ...config.reading import default_config, read_values
from ...config.schema import ExplainConfig, GenerateConfig
from ...generate.run import Run
from ...generate.tasks import find_objective

CONFIGS = {
    "class_image": "class_image.yaml",
    "filter": "filter.yaml",
    "deep_dream": "deep_dream.yaml",
    "inversion": "inversion.yaml",
}
FROM_A_PICTURE = ("deep_dream", "inversion")
FRAMES = 24  # about how many frames a run writes
MOST_STEPS = 1000
LONGEST_SIDE = 512  # pixels of a dream. All of its octaves are as large as its picture, or smaller
SUFFIX = ".gif"
RUN_KEYS = ("device", "fast")  # of the app, which decide what the files of a run are


class Folder:
    """A folder for the files of one person. It is removed when nothing refers to this object."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="visualize_pd_generate_"))
        self.remove = weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)


class Step(NamedTuple):
    """How far a run has come. `sheet`, `[H, W, 3]`, is the last frame that was written."""

    iteration: int
    last: int
    sheet: np.ndarray
    rows: list[dict[str, Any]]


class Made(NamedTuple):
    """A run that has ended. `summary` is the line that the script prints."""

    name: str
    folder: Path
    complete: bool
    rows: list[dict[str, Any]]
    sheet: np.ndarray
    summary: str


def recipe(objective: str) -> dict[str, Any]:
    """The keys and values of the project's config for an objective."""
    values = read_values(default_config(CONFIGS[objective]))
    return {"objective": objective, **values}


def run_values(objective: str, app: ExplainConfig, **choices: Any) -> dict[str, Any]:
    """The keys and values of a run: the project's config, the network of the app, and choices.

    Raises `ConfigError` for more than `MOST_STEPS` steps.
    """
    values = {**recipe(objective), **choices, "model": _changed_keys(app.model.beside())}
    values.update({key: value for key, value in _changed_keys(app).items() if key in RUN_KEYS})
    config: GenerateConfig = build(GenerateConfig, values)
    check_count("iterations", config.iterations, 1, MOST_STEPS)
    steps = config.iterations * (config.octaves if objective == "deep_dream" else 1)
    return {**values, "frames": {"every": max(1, round(steps / FRAMES))}}


def _changed_keys(config: Any) -> dict[str, Any]:
    """The keys of a config whose values are not the defaults, and its name in any case."""
    default = as_dict(type(config)())
    return {
        name: value
        for name, value in as_dict(config).items()
        if value != default[name] or name == "name"
    }


def generation(
    values: dict[str, Any],
    classifier: Classifier,
    folder: Path,
    output: Path,
    stop: threading.Event,
    device: str,
) -> Iterator[Step | Made]:
    """Make the images of a run, and yield after each frame that is written, and at the end.

    `values` are those of `run_values`. A picture that `init` names lies in `folder`. The files are
    written into `output`. Setting `stop` ends the ascent; its results so far are kept. Errors are
    those of the script. Raises `StoppedError` if the computation is stopped in another way.
    """
    recorded: GenerateConfig = build(GenerateConfig, values)
    entry = find_objective(recorded)
    config = recorded
    if recorded.objective in FROM_A_PICTURE:
        config = dataclasses.replace(recorded, init=str(folder / recorded.init))
    drawing.check_animation(SUFFIX)
    check_maker(classifier)
    height, width = configured_size(config, classifier)
    assert entry.task is not None
    with network_errors(classifier, (width, height)):
        task = entry.task(config, classifier)
        place = output / "method_2" / task.name
        run = Run(config, classifier, task, place, device, as_dict(recorded))
        with alone_in(run.folder):
            written = 0
            for frame in run.climb(stop):
                check_stop()
                if len(run.rows) > written:
                    written = len(run.rows)
                    yield Step(frame.iteration, task.last, _sheet(run), list(run.rows))
            run.finish(SUFFIX)
    yield Made(task.name, run.folder, run.complete, run.rows, _sheet(run), run.summary())


def _sheet(run: Run) -> np.ndarray:
    return drawing.tile(run.pictures[-1], run.columns)


def put_picture(folder: Path, data: bytes, name: str, objective: str) -> str:
    """Write a picture into the folder of a run, and return its file name there.

    A picture for a dream is made smaller if it is larger than `LONGEST_SIDE`. Raises `ImageError`
    if it cannot be read.
    """
    suffix = Path(name).suffix.lower()
    suffix = suffix if suffix[1:].isalnum() and suffix.isascii() and len(suffix) <= 5 else ".png"
    path = folder / f"photo{suffix}"
    path.write_bytes(data)
    picture = load_image(path)
    if objective == "deep_dream" and max(picture.size) > LONGEST_SIDE:
        path = folder / "photo_small.png"
        picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.LANCZOS)
        drawing.save_picture(path, picture)
    return path.name


def as_yaml(values: dict[str, Any], command: str) -> str:
    """A config as a YAML file, which opens with the command that runs it."""
    text = yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=96)
    files = build(ModelConfig, values["model"]).files
    needs = f"# It needs {' and '.join(files)} beside this file.\n" if files else ""
    return f"# {command}\n{needs}{text}"


def command_of(name: str, resume: bool = False) -> str:
    """The command that repeats a run or goes on with it, in the folder that `packed` packs."""
    return f"visualize-pd generate --config {name}.yaml" + " --resume" * resume


def packed(values: dict[str, Any], made: Made, folder: Path) -> bytes:
    """A zip file of a run: its YAML, its picture if it has one, and all its files.

    In the folder that it makes, the command goes on with the run, or repeats it.
    """
    text = as_yaml(values, command_of(made.name, resume=not made.complete))
    place = f"{made.name}/{GenerateConfig().output}/method_2/{made.name}"
    with io.BytesIO() as memory:
        with zipfile.ZipFile(memory, "w") as archive:  # pictures cannot be made smaller
            archive.writestr(f"{made.name}/{made.name}.yaml", text)
            if values["objective"] in FROM_A_PICTURE:
                archive.write(folder / values["init"], f"{made.name}/{values['init']}")
            for path in sorted(path for path in made.folder.rglob("*") if path.is_file()):
                archive.write(path, f"{place}/{path.relative_to(made.folder).as_posix()}")
        return memory.getvalue()


def keeps_files(config: ExplainConfig) -> bool:
    """Whether the app was started with a folder of its own for results."""
    return config.output != ExplainConfig().output
