"""Method 2: make the images of a config.

A run writes frames, an animation, the final picture and a record of the run.
"""

from __future__ import annotations

import json
import math
import platform
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import paddle
from tqdm import tqdm

from ...core import runtime
from ...core.checks import look_up
from ...core.config import as_dict
from ...core.errors import ConfigError
from ...core.files import (
    alone_in,
    check_results,
    make_output_folder,
    remove_files,
    remove_leftovers,
    write_text,
)
from ...core.fingerprint import array_digest
from ...core.text import printable
from ...core.version import __version__
from ...models.classifier import Classifier, network_errors
from ...models.loading import load_model
from ...network.fast import use_fast
from ...synthesis.ascent import Frame
from ...synthesis.builder import check_maker, configured_size, statistics_weight
from ...synthesis.priors.pixel_steps import gaussian_blur
from .. import drawing
from ..config.schema import GenerateConfig
from .pictures import (
    captions,
    columns_of,
    draw_first_layer,
    final_figure,
    kept_scores,
    kept_sentence,
)
from .report import save_drawing_report, save_report
from .state import FILE, load_state, run_fingerprint, save_state
from .task import Choice, Task
from .tasks import find_objective

BAR_SECONDS = 0.5  # between two scores that the progress bar shows
SMOOTH = 64  # the longer side of an image over the σ by which its transparency is smoothed


def generate(config: GenerateConfig, say: Callable[[str], None], resume: bool = False) -> bool:
    """Make the images of a config. Return whether the run was completed.

    An interrupt ends the ascent, and the results so far are still written. A run saves its state
    with each frame. `resume` continues from the state of a stopped run of the same config.
    """
    if runtime.share_of_run()[1] > 1:
        raise ConfigError(
            "method 2 does not share its images among the processes of a launch; start it without "
            "paddle.distributed.launch, once for each list of targets"
        )
    entry = find_objective(config)
    suffixes = {suffix[1:]: suffix for suffix in drawing.ANIMATIONS}
    suffix = look_up("animation format", config.animation.format, suffixes)
    drawing.check_animation(suffix)
    output = make_output_folder(Path(config.output) / "method_2")
    device = runtime.use_device(config.device)
    use_fast(config.fast)
    classifier = load_model(**as_dict(config.model))
    check_maker(classifier)
    height, width = configured_size(config, classifier)
    with noted_interrupts() as interrupted, network_errors(classifier, (width, height)):
        if entry.task is None:
            note, path = draw_first_layer(config, classifier, output)
            say(f"{note} → {path}")
            if config.report:
                say(f"→ {save_drawing_report(config, note, path)}")
            return True
        task = entry.task(config, classifier)
        run = Run(config, classifier, task, output / task.name, device)
        with alone_in(run.folder):
            if resume and not run.resume():
                say(f"nothing to resume in {run.folder}; starting anew")
            _with_bar(run, interrupted)
            animation = run.finish(suffix)
            if config.report:
                page = save_report(run.folder, config, task, run.summary(), run.rows, animation)
        if config.priors.statistics == "auto":
            weight = statistics_weight(classifier.network, config.priors)
            reason = f"weight {weight:g}" if weight else "off, there is no batch normalisation"
            say(f"statistics prior of {classifier.title}: {reason}")
    if not run.complete:
        say(f"interrupted after {run.iteration} of {task.last} iterations; --resume goes on")
    if run.choice and run.choice.record:
        say(kept_sentence(run.choice))
    say(f"{run.summary()} → {animation}")
    if config.report:
        say(f"→ {page}")
    return run.complete


def _with_bar(run: Run, interrupted: threading.Event) -> None:
    """Do the ascent of a run, with a progress bar.

    An error about a wrong class, layer or channel comes before the bar.
    """
    priors = run.config.priors
    moved = " (moved)" if priors.shift or priors.rotation or set(priors.zoom) != {1} else ""
    frames = run.climb(interrupted)
    first = next(frames)
    shown = -math.inf
    with tqdm(total=run.task.last, desc=printable(run.title), unit="it") as progress:
        progress.initial = run.begin.iteration if run.begin else 0
        for frame in chain([first], frames):
            progress.n = frame.iteration
            if time.monotonic() - shown > BAR_SECONDS:
                shown = time.monotonic()
                progress.set_postfix_str(f"score={frame.score:.4g}{moved}")
        progress.set_postfix_str(f"score={frame.score:.4g}{moved}")


class Run:
    """One ascent with its folder. Each frame is written at once, with the state to resume from.

    `recorded` are the keys for `run.json`, by default those of the config.
    """

    def __init__(
        self,
        config: GenerateConfig,
        classifier: Classifier,
        task: Task,
        folder: Path,
        device: str,
        recorded: dict[str, Any] | None = None,
    ):
        self.config, self.classifier, self.task = config, classifier, task
        self.recorded = as_dict(config) if recorded is None else recorded
        self.folder, self.device = folder, device
        self.inputs = {**run_fingerprint(config, classifier), **task.inputs}
        self.columns = columns_of(len(task.titles))
        self.rows: list[dict[str, Any]] = []
        self.pictures: list[np.ndarray] = []
        self.importance: paddle.Tensor | None = None
        self.choice: Choice | None = None
        self.begin: Frame | None = None

    @property
    def iteration(self) -> int:
        """The last iteration whose frame was written."""
        return self.rows[-1]["iteration"]

    @property
    def complete(self) -> bool:
        """Whether the ascent has done its last step."""
        return self.iteration == self.task.last

    def resume(self) -> bool:
        """Begin at the saved state. Return whether there is one."""
        saved = load_state(self.folder, self.config, self.inputs, self.task)
        if saved:
            self.begin, self.rows, self.pictures = saved
        return saved is not None

    def climb(self, interrupted: threading.Event) -> Iterator[Frame]:
        """Do the ascent, and yield each frame. Write every n-th frame and the last frame at once.

        If `interrupted` is set, the next frame is the last one.
        """
        for number, frame in enumerate(self.task.frames(self.begin)):
            if not number:  # an error about a wrong class, layer or channel has come before
                self._remove_earlier()
            last = frame.iteration == self.task.last or interrupted.is_set()
            if last or frame.iteration % self.config.frames.every == 0:
                self._write(frame)
            yield frame
            if last:
                break

    def finish(self, suffix: str) -> Path:
        """Write the animation, the final picture and the record. Return the animation's path."""
        name, film, row = self.task.name, self.config.animation, self.rows[-1]
        animation = self.folder / f"{name}{suffix}"
        choice = self.choice = self._chosen()
        shown = self.task._replace(titles=choice.titles)
        rows = [kept_scores(row, choice.kept) for row in self.rows]
        columns = columns_of(len(choice.kept))
        frames = [
            drawing.captioned(
                pictures[choice.kept], captions(shown, each, film.score), columns, film.size
            )
            for each, pictures in zip(rows, self.pictures)
        ]
        results = [animation, self.folder / f"{name}.png", self.folder / "run.json"]
        drawing.save_animation(animation, frames, film.frame_ms, film.hold_ms)
        last = self.pictures[-1][choice.kept]
        drawing.save_picture(results[1], final_figure(shown, self.classifier, rows[-1], last))
        if self.importance is not None:
            results.append(self.folder / f"{name}_transparent.png")
            smooth = gaussian_blur(self.importance, max(self.importance.shape) / SMOOTH)
            importance = smooth.numpy()[choice.kept, 0]
            drawing.save_picture(
                results[-1], drawing.tile(drawing.cut_out(last, importance), columns)
            )
        record = {
            **self.task.record,
            **choice.record,
            "network": self.classifier.title,
            "complete": self.complete,
            **{f"final_{key}": value for key, value in row.items() if type(value) is float},
            "frames": self.rows,
            "fingerprint": self.inputs,
            "seed": self.config.seed,
            "device": self.device,
            "versions": {
                "visualize_pd": __version__,
                "paddle": paddle.__version__,
                "numpy": np.__version__,
                "python": platform.python_version(),
            },
            "config": self.recorded,
        }
        write_text(results[2], json.dumps(record, indent=2, ensure_ascii=False))
        check_results([*(self.folder / each["file"] for each in self.rows), *results], self.folder)
        return animation

    def _chosen(self) -> Choice:
        """The final images that are kept: all of them, if no judge chooses."""
        if self.task.choose:
            return self.task.choose(self.pictures[-1])
        return Choice(list(range(len(self.task.titles))), self.task.titles, {})

    def summary(self) -> str:
        """One line about the images: their names, the iterations and the last scores."""
        rated = [
            f"{key} {value:.1%}" if key.startswith("probability") else f"{key} {value:.4g}"
            for key, value in self.rows[-1].items()
            if type(value) is float
        ]
        about = f"{self.title}, {self.iteration} iterations on {self.classifier.title}"
        return about + (": " if rated else "") + ", ".join(rated)

    @property
    def title(self) -> str:
        titles = self.choice.titles if self.choice else self.task.titles
        title = titles[0] if len(titles) == 1 else f"{len(titles)} images"
        return f"{title} ({self.task.subject})"

    def _write(self, frame: Frame) -> None:
        """Write the picture of a frame, add its scores, and save the state to resume from.

        Raises `ModelError` if a score of the frame is not finite.
        """
        frame.scores  # noqa: B018
        with paddle.no_grad():
            rated = self.task.rate(frame.image)
        one = len(self.task.titles) == 1
        measured = {key: value[0] if one else value for key, value in rated.items()}
        file = f"pp/{self._prefix}_iter_{frame.iteration}_pp.png"
        pictures = self.classifier.to_pixels(frame.image)
        self.importance = frame.importance
        about = {"iteration": frame.iteration, "file": file, "digest": array_digest(pictures)}
        self.rows.append({**about, **measured})
        self.pictures.append(pictures)
        drawing.save_picture(self.folder / file, drawing.tile(pictures, self.columns))
        save_state(self.folder, self.config, self.inputs, frame, self.rows)

    @property
    def _prefix(self) -> str:
        """The start of the frames' file names: `c_130`, as in VisualizeCNN-Pd, or the task's."""
        return re.sub("^class_", "c_", self.task.name)

    def _remove_earlier(self) -> None:
        """Remove the files of an earlier run, so that the files of two runs are not mixed."""
        folder, kept = self.folder / "pp", {Path(row["file"]).name for row in self.rows}
        # The state goes first: without it, no later run can take over what is left of the others.
        old = [] if self.begin else [self.folder / FILE, self.folder / "index.html"]
        if not self.begin:
            old += [self.folder / f"{self.task.name}{suffix}" for suffix in drawing.ANIMATIONS]
        frame = re.compile(rf"{re.escape(self._prefix)}_iter_[0-9]+_pp\.png")
        files = list(folder.iterdir()) if folder.is_dir() else []
        old += [path for path in files if frame.fullmatch(path.name) and path.name not in kept]
        remove_files(self.folder, old)
        remove_leftovers(folder)


@contextmanager
def noted_interrupts() -> Iterator[threading.Event]:
    """Yield an event that Ctrl-C or SIGTERM sets. A second signal ends the program."""
    noted = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield noted  # signals can only be handled in the main thread
        return

    def note(_number: int, _stack: Any) -> None:
        if noted.is_set():
            raise KeyboardInterrupt
        noted.set()

    before = {n: signal.signal(n, note) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield noted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
