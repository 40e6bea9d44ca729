"""The state from which a run of method 2 can be resumed. It is saved with each frame."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import paddle
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from ...core.config import as_dict
from ...core.errors import ConfigError, ImageError
from ...core.files import atomic_write
from ...core.images import load_image
from ...models.classifier import Classifier
from ...synthesis.ascent import Frame
from .. import drawing
from ..config.schema import GenerateConfig
from .pictures import captions, columns_of
from .task import Task

FILE = "state.safetensors"
ANEW = "run without --resume to start anew"
# The errors that a damaged state can raise, or a state whose JSON was not written by a run.
UNREADABLE = (
    *(OSError, SafetensorError, ImageError, ValueError, TypeError, LookupError),
    *(OverflowError, RecursionError),
)
# Keys that may differ between a run and the run that resumes it.
FREE_KEYS = ("animation", "device", "fast", "output", "report")


class Resumed(NamedTuple):
    """The frame from which to continue, and the rows and pictures of the frames before it."""

    begin: Frame
    rows: list[dict[str, Any]]
    pictures: list[np.ndarray]


def save_state(
    folder: Path,
    config: GenerateConfig,
    classifier: Classifier,
    frame: Frame,
    rows: list[dict[str, Any]],
) -> None:
    """Write everything that a run needs to continue after `frame`."""
    run = {"config": _decisive(config, classifier), "iteration": frame.iteration, "frames": rows}
    arrays = {key: value.numpy() for key, value in frame.state.items()}
    with atomic_write(folder / FILE) as file:
        file.write(save(arrays, {"run": json.dumps(run)}))


def load_state(
    folder: Path, config: GenerateConfig, classifier: Classifier, task: Task
) -> Resumed | None:
    """Read the state of an earlier run. None if there is none.

    Raises `ConfigError` for a state that is damaged or belongs to another config.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    if config.model.weights == "random":
        raise ConfigError("random weights differ in each run, so no run with them can be resumed")
    try:
        with safe_open(str(path), framework="numpy") as file:
            saved, names = json.loads(file.metadata()["run"]), file.keys()
            state = {name: paddle.to_tensor(file.get_tensor(name)) for name in names}
        before, now = {**saved["config"]}, _decisive(config, classifier)
        differs = sorted(k for k in {*before, *now} if before.get(k) != now.get(k))
        if differs:
            what = " and ".join(differs)
            raise ConfigError(
                f"{path} belongs to a run with another {what}; take the same, or {ANEW}"
            )
        iteration = saved["iteration"]
        if type(iteration) is not int or not 0 <= iteration <= task.last:
            raise ValueError("its iteration does not exist in this run")
        rows = [row for row in saved["frames"] if row["iteration"] < iteration]
        rows = [row for row in rows if row["iteration"] % config.frames.every == 0]
        pictures = _pictures(folder, task, rows, config.animation.score)
    except UNREADABLE as error:
        raise ConfigError(f"cannot resume from {path}: {error}; {ANEW}") from error
    # The frame's own image can be empty, because the state contains the image.
    return Resumed(Frame(iteration, paddle.empty([0]), [], state), rows, pictures)


def _pictures(
    folder: Path, task: Task, rows: list[dict[str, Any]], with_scores: bool
) -> list[np.ndarray]:
    """The pictures of saved frames, `[N, H, W, 3]` each."""
    count = len(task.titles)
    if any(len(captions(task, row, with_scores)) != count for row in rows):
        raise ValueError("its frames have no scores")
    sheets = [np.asarray(load_image(folder / row["file"])) for row in rows]
    if len({sheet.shape for sheet in sheets}) > 1:
        raise ValueError("its frames differ in size")
    return [drawing.untile(sheet, count, columns_of(count)) for sheet in sheets]


def _decisive(config: GenerateConfig, classifier: Classifier) -> dict[str, Any]:
    """The keys that determine what the frames look like, as they are after writing to JSON."""
    keys = {k: v for k, v in as_dict(config).items() if k not in FREE_KEYS}
    return json.loads(json.dumps({**keys, "network": classifier.title}))
