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
from ...core.fingerprint import Fingerprint, array_digest, changed, digest
from ...core.images import find_images, load_image, load_with_digest
from ...core.version import __version__
from ...models.classifier import Classifier
from ...models.fingerprint import network_fingerprint
from ...network.fast import choose_ways, ways_chosen
from ...synthesis.ascent import Frame
from ...synthesis.builder import GREY, NOISE
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


def run_fingerprint(config: GenerateConfig, classifier: Classifier) -> Fingerprint:
    """What decides the frames of a run, apart from the keys of its config."""
    pictures = {} if config.init in (NOISE, *GREY) else {"init": load_with_digest(config.init)[1]}
    if config.reference.images:
        digests = [load_with_digest(path)[1] for path in find_images(config.reference.images)]
        pictures["reference"] = digest(*digests)
    return {**network_fingerprint(classifier), **pictures, "version": __version__}


class Resumed(NamedTuple):
    """The frame from which to continue, and the rows and pictures of the frames before it."""

    begin: Frame
    rows: list[dict[str, Any]]
    pictures: list[np.ndarray]


def save_state(
    folder: Path,
    config: GenerateConfig,
    inputs: Fingerprint,
    frame: Frame,
    rows: list[dict[str, Any]],
) -> None:
    """Write everything that a run needs to continue after `frame`.

    `inputs` is the fingerprint of the network and of the picture that the run starts from.
    """
    keys = {"inputs": inputs, "config": _decisive(config), "ways": ways_chosen()}
    text = json.dumps({**keys, "iteration": frame.iteration, "frames": rows})
    arrays = {key: value.numpy() for key, value in frame.state.items()}
    with atomic_write(folder / FILE) as file:
        file.write(save(arrays, {"run": f"{_checksum(arrays, text)} {text}"}))


def load_state(
    folder: Path, config: GenerateConfig, inputs: Fingerprint, task: Task
) -> Resumed | None:
    """Read the state of an earlier run. None if there is none.

    Each kind of layer takes the way that it took in that run, so that the last digits are the same.

    Raises `ConfigError` for a state that is damaged, or belongs to another config or other inputs.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    if config.model.weights == "random":
        raise ConfigError("random weights differ in each run, so no run with them can be resumed")
    try:
        with safe_open(str(path), framework="numpy") as file:
            checksum, _, text = file.metadata()["run"].partition(" ")
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if checksum != _checksum(arrays, text):
            raise ValueError("the file is damaged, or was written by another version")
        saved = json.loads(text)
        state = {name: paddle.to_tensor(value) for name, value in arrays.items()}
        differs = changed({**saved["config"], **saved["inputs"]}, {**_decisive(config), **inputs})
        if differs:
            what = " and ".join(differs)
            raise ConfigError(
                f"{path} belongs to a run with another {what}; take the same, or {ANEW}"
            )
        iteration = saved["iteration"]
        if type(iteration) is not int or not 0 <= iteration <= task.last:
            raise ValueError("its iteration does not exist in this run")
        choose_ways({str(kind): bool(fast) for kind, fast in dict(saved.get("ways", {})).items()})
        rows = [row for row in saved["frames"] if row["iteration"] < iteration]
        rows = [row for row in rows if row["iteration"] % config.frames.every == 0]
        pictures = _pictures(folder, task, rows, config.animation.score)
    except UNREADABLE as error:
        raise ConfigError(f"cannot resume from {path}: {error}; {ANEW}") from error
    # The frame's own image can be empty, because the state contains the image.
    return Resumed(Frame(iteration, paddle.empty([0]), paddle.empty([0]), state), rows, pictures)


def _pictures(
    folder: Path, task: Task, rows: list[dict[str, Any]], with_scores: bool
) -> list[np.ndarray]:
    """The pictures of saved frames, `[N, H, W, 3]` each."""
    count = len(task.titles)
    if any(len(captions(task, row, with_scores)) != count for row in rows):
        raise ValueError("its frames have no scores")
    pictures = []
    for row in rows:
        sheet = np.asarray(load_image(folder / row["file"]))
        pictures.append(drawing.untile(sheet, count, columns_of(count)))
        if array_digest(pictures[-1]) != row["digest"]:
            raise ValueError(f"{row['file']} is not the frame that this run has written")
    return pictures


def _decisive(config: GenerateConfig) -> dict[str, Any]:
    """The keys that determine what the frames look like, as they are after writing to JSON.

    The paths of weights and pictures do not count. Their contents are in the fingerprint.
    """
    keys = {k: v for k, v in as_dict(config).items() if k not in FREE_KEYS}
    for key in ("model", "judge"):  # a judge may be only a name
        if isinstance(keys[key], dict):
            keys[key] = {k: v for k, v in keys[key].items() if k not in ("weights", "labels")}
    if config.init not in (NOISE, *GREY):
        keys.pop("init")
    keys["reference"] = {k: v for k, v in keys["reference"].items() if k != "images"}
    return json.loads(json.dumps(keys))


def _checksum(arrays: dict[str, np.ndarray], text: str) -> str:
    return digest(text, *(f"{name} {array_digest(arrays[name])}" for name in sorted(arrays)))
