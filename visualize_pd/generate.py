"""method_2: a config → frames, an animation, the final picture and a record of the run."""

from __future__ import annotations

import json
import math
import platform
import re
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import paddle
from PIL import Image
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save
from tqdm import tqdm

from . import __version__, render, runtime
from .config import GenerateConfig, as_dict
from .errors import ConfigError, ImageError, ModelError, OutputError, look_up
from .features import first_weights
from .files import make_folder, whole_file, write_text
from .images import load_image
from .models import Classifier, load_model, network_errors
from .plans import PLANS, Plan
from .synthesis import Frame
from .webpage import Animation, Figures, Picture, Share, Table, save_page

STATE = "state.safetensors"
# What comes of a state that is damaged, or of JSON in it that is not what a run writes.
UNREADABLE = (
    *(OSError, SafetensorError, ImageError, ValueError, TypeError, LookupError),
    *(OverflowError, RecursionError),
)
# What a resumed run may have otherwise than the one that it goes on from.
FREE_KEYS = ("animation", "device", "output", "report")
PAGE_SIZE = (1200, 4000)


def generate(config: GenerateConfig, say: Callable[[str], None], resume: bool = False) -> bool:
    """Make the image of a config; return whether the run went to its end.

    An interrupt ends the ascent; what was made until then is written all the same. `resume` goes on
    from the state that an interrupted, or killed, run of the same config saved with each frame.
    """
    look_up("objective", config.objective, {**PLANS, **DRAWINGS})
    suffixes = {suffix[1:]: suffix for suffix in render.ANIMATIONS}
    suffix = look_up("animation format", config.animation.format, suffixes)
    render.check_animation(suffix)
    output = make_folder(Path(config.output) / "method_2")
    device = runtime.use_device(config.device)
    classifier = load_model(**as_dict(config.model))
    with _interrupts_noted() as interrupted, network_errors(classifier):
        if config.objective in DRAWINGS:
            note, path = DRAWINGS[config.objective](config, classifier, output)
            say(f"{note} → {path}")
            if config.report:
                figures = Figures([(note, Picture(path, PAGE_SIZE, path.name))])
                page = path.with_name("index.html")
                say(f"→ {save_page(page, note, '', {'Weights': figures}, as_dict(config))}")
            return True
        plan = PLANS[config.objective](config, classifier)
        run = _Run(config, classifier, plan, output / plan.name, device)
        if resume and not run.resume():
            say(f"nothing to resume in {run.folder}; starting anew")
        run.climb(interrupted)
        animation = run.finish(suffix)
    if not run.complete:
        say(f"interrupted after {run.steps} of {plan.last} iterations; --resume goes on from there")
    say(f"{run.summary()} → {animation}")
    if config.report:
        say(f"→ {run.save_report(animation)}")
    return run.complete


class _Run:
    """An ascent in its folder: frames as they come, each with the state to resume from."""

    def __init__(
        self,
        config: GenerateConfig,
        classifier: Classifier,
        plan: Plan,
        folder: Path,
        device: str,
    ):
        self.config, self.classifier, self.plan = config, classifier, plan
        self.folder, self.device = folder, device
        count = len(plan.titles)
        self.columns = count if count <= 5 else math.ceil(math.sqrt(count))
        self.rows: list[dict[str, Any]] = []
        self.pictures: list[np.ndarray] = []
        self.begin: Frame | None = None

    @property
    def steps(self) -> int:
        return self.rows[-1]["iteration"]

    @property
    def complete(self) -> bool:
        return self.steps == self.plan.last

    def climb(self, interrupted: threading.Event) -> None:
        """Run the ascent; write every n-th frame, and the last one, as it comes."""
        own = self.config.priors
        moved = " (moved)" if own.shift or own.rotation or set(own.zoom) != {1} else ""
        with tqdm(total=self.plan.last, desc=_spoken(self.plan.name), unit="it") as progress:
            progress.initial = self.begin.iteration if self.begin else 0
            first = True
            for frame in self.plan.frames(self.begin):
                progress.n = frame.iteration
                progress.set_postfix_str(f"score={frame.score:.4g}{moved}")
                if not math.isfinite(frame.score):
                    raise ModelError(
                        f"the score is no number after {frame.iteration} iterations; lower "
                        "learning_rate, lambda or init_std"
                    )
                if first:
                    self._remove_earlier()
                    first = False
                last = frame.iteration == self.plan.last or interrupted.is_set()
                if last or frame.iteration % self.config.frames.every == 0:
                    self._write(frame)
                if last:
                    break
            progress.refresh()

    def finish(self, suffix: str) -> Path:
        """Write the animation, the final picture and the record; return the animation's path."""
        name, times = self.plan.name, self.config.animation
        animation = self.folder / f"{name}{suffix}"
        frames = [
            render.captioned(pictures, self._captions(row), self.columns, times.size)
            for row, pictures in zip(self.rows, self.pictures)
        ]
        render.save_animation(animation, frames, times.frame_ms, times.hold_ms)
        render.save_picture(self.folder / f"{name}.png", self._figure())
        numbers = {key: value for key, value in self.rows[-1].items() if type(value) is float}
        record = {
            **self.plan.about,
            "network": self.classifier.title,
            "complete": self.complete,
            **{f"final_{key}": value for key, value in numbers.items()},
            "frames": self.rows,
            "seed": self.config.seed,
            "device": self.device,
            "versions": {
                "visualize_pd": __version__,
                "paddle": paddle.__version__,
                "numpy": np.__version__,
                "python": platform.python_version(),
            },
            "config": as_dict(self.config),
        }
        write_text(self.folder / "run.json", json.dumps(record, indent=2, ensure_ascii=False))
        return animation

    def save_report(self, animation: Path) -> Path:
        """A page of the animation, the final picture and all frames with their numbers."""
        picture = self.folder / f"{self.plan.name}.png"
        items: list[tuple[str, Picture | Animation]] = [
            ("Animation", Animation(animation)),
            ("Final picture", Picture(picture, PAGE_SIZE, picture.name)),
        ]
        frames = [
            [
                Picture(self.folder / row["file"], (128, 128), row["file"]),
                row["iteration"],
                *self._numbers(row).values(),
            ]
            for row in self.rows
        ]
        titles = self.plan.titles
        return save_page(
            self.folder / "index.html",
            ", ".join(titles) if len(titles) < 5 else f"{len(titles)} images",
            self.summary(),
            {
                "Pictures": Figures(items),
                "Frames": Table(["", "iteration", *self._numbers(self.rows[-1])], frames),
            },
            as_dict(self.config),
        )

    def _numbers(self, row: dict[str, Any]) -> dict[str, float]:
        """What was measured of a frame, of each of its images."""
        found = {}
        for key, values in row.items():
            kind = Share if key.startswith("probability") else float
            if isinstance(values, list):
                named = zip(self.plan.titles, values)
                found.update({f"{key} of {title}": kind(value) for title, value in named})
            elif isinstance(values, float):
                found[key] = kind(values)
        return found

    def summary(self) -> str:
        """One line of what was made."""
        title, count = self.plan.titles[0], len(self.plan.titles)
        if count > 1:
            title = f"{count} images"
        rated = [
            f"{key} {value:.1%}" if key.startswith("probability") else f"{key} {value:.4g}"
            for key, value in self.rows[-1].items()
            if type(value) is float
        ]
        about = f"{title} ({_spoken(self.plan.name)}), {self.steps} iterations"
        return f"{about} on {self.classifier.title}" + (": " if rated else "") + ", ".join(rated)

    def resume(self) -> bool:
        """Begin at the saved state, where there is one.

        Raises `ConfigError` where it is damaged or one of another config.
        """
        path = self.folder / STATE
        if not path.is_file():
            return False
        if self.config.model.weights == "random":
            raise ConfigError("random weights are others in each run: there is nothing to resume")
        anew = "run without --resume to start anew"
        try:
            with safe_open(str(path), framework="numpy") as file:
                saved, names = json.loads(file.metadata()["run"]), file.keys()
                state = {name: paddle.to_tensor(file.get_tensor(name)) for name in names}
            before, now, iteration = {**saved["config"]}, self._essence(), saved["iteration"]
            differs = sorted(k for k in {*before, *now} if before.get(k) != now.get(k))
            if differs:
                what = " and ".join(differs)
                raise ConfigError(
                    f"{path} is of a run with another {what}; take the same, or {anew}"
                )
            if type(iteration) is not int or not 0 <= iteration <= self.plan.last:
                raise ValueError("it is at no iteration of the run")
            rows = [row for row in saved["frames"] if row["iteration"] < iteration]
            rows = [row for row in rows if row["iteration"] % self.config.frames.every == 0]
            count = len(self.plan.titles)
            if any(len(self._captions(row)) != count for row in rows):
                raise ValueError("its frames lack scores")
            sheets = [np.asarray(load_image(self.folder / row["file"])) for row in rows]
            if len({sheet.shape for sheet in sheets}) > 1:
                raise ValueError("its frames differ in size")
            pictures = [render.untile(sheet, count, self.columns) for sheet in sheets]
        except UNREADABLE as error:
            raise ConfigError(f"cannot resume from {path}: {error}; {anew}") from error
        self.rows, self.pictures = rows, pictures
        self.begin = Frame(iteration, paddle.empty([0]), [], state)  # the image is in the state
        return True

    def _essence(self) -> dict[str, Any]:
        """What the frames depend on, as JSON has it."""
        keys = {k: v for k, v in as_dict(self.config).items() if k not in FREE_KEYS}
        return json.loads(json.dumps({**keys, "network": self.classifier.title}))

    def _write(self, frame: Frame) -> None:
        """A frame's picture and numbers, then the state from which it can be taken up again."""
        with paddle.no_grad():
            rated = self.plan.measure(frame.image)
        one = len(self.plan.titles) == 1
        measured = {key: value[0] if one else value for key, value in rated.items()}
        file = f"pp/{self._prefix}_iter_{frame.iteration}_pp.png"
        pictures = self.classifier.to_pixels(frame.image)
        if self.pictures and self.pictures[-1].shape != pictures.shape:
            raise ConfigError(
                f"the frames in {self.folder / 'pp'} were of another size; run without --resume "
                "to start anew"
            )
        self.rows.append({"iteration": frame.iteration, "file": file, **measured})
        self.pictures.append(pictures)
        sheet = render.tile(pictures, self.columns)
        render.save_picture(self.folder / file, sheet)
        saved = {"config": self._essence(), "iteration": frame.iteration, "frames": self.rows}
        arrays = {key: value.numpy() for key, value in frame.state.items()}
        with whole_file(self.folder / STATE) as state:
            state.write(save(arrays, {"run": json.dumps(saved)}))

    @property
    def _prefix(self) -> str:
        """What the names of the frames begin with: `c_130`, as the forerunner's, or the plan's."""
        return re.sub("^class_", "c_", self.plan.name)

    def _remove_earlier(self) -> None:
        """Take away what is of an earlier run: two must not mix."""
        folder, kept = self.folder / "pp", {Path(row["file"]).name for row in self.rows}
        stale = [] if self.begin else [self.folder / "index.html"]
        if not self.begin:
            stale += [self.folder / f"{self.plan.name}{suffix}" for suffix in render.ANIMATIONS]
        own = re.compile(rf"{re.escape(self._prefix)}_iter_[0-9]+_pp\.png")
        try:
            frames = folder.iterdir() if folder.is_dir() else []
            stale += [path for path in frames if own.fullmatch(path.name) and path.name not in kept]
            for path in stale:
                path.unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(
                f"cannot remove the old files in {self.folder}: {error.strerror}"
            ) from error

    def _captions(self, row: dict[str, Any]) -> list[str]:
        """What stands below each image of an animation's frame."""
        titles = self.plan.titles
        if not self.config.animation.score:
            return titles if len(titles) > 1 else [""]
        scores, shares = (np.atleast_1d(row.get(key, [])) for key in ("score", "probability"))
        numbers = [f"{score:.3g}" for score in scores]
        if len(shares):
            numbers = [f"{number}  ·  {share:.1%}" for number, share in zip(numbers, shares)]
        return [f"{title}  ·  {number}" for title, number in zip(titles, numbers)]

    def _figure(self) -> Image.Image:
        """The final images with their names, and what made them."""
        row, pictures = self.rows[-1], self.pictures[-1]
        shares = np.atleast_1d(row.get("probability", []))
        sure = [f" {share:.1%}" for share in shares] or [""] * len(pictures)
        cells = [
            (f"{title}{share}", pixels)
            for title, share, pixels in zip(self.plan.titles, sure, pictures)
        ]
        lines = range(0, len(cells), self.columns)
        rows = [("", cells[first : first + self.columns]) for first in lines]
        small = max(pictures[0].shape) <= 400
        scale = 3 if small and len(cells) == 1 else 2 if small and len(cells) < 4 else 1
        note = f"{_spoken(self.plan.name)}  ·  {self.steps} iterations"
        return render.figure(rows, self.classifier.title, note, scale, smooth=self.columns)


def _draw_weights(config: GenerateConfig, classifier: Classifier, output: Path) -> tuple[str, Path]:
    """The weights of the layer that sees the image, each in a range of its own about grey."""
    layer = None if config.layer is None else str(config.layer)
    name, weights = first_weights(classifier.network, len(classifier.mean), layer)
    values = weights.numpy().transpose(0, 2, 3, 1)
    largest = np.abs(values).max(axis=(1, 2, 3), keepdims=True)
    shares = 0.5 + values / np.where(largest > 0, 2 * largest, 1)
    pictures = np.round(shares * 255).astype("uint8")
    pictures = np.repeat(pictures, 3, axis=3) if pictures.shape[3] == 1 else pictures
    columns = math.ceil(math.sqrt(len(pictures)))
    cells = [(str(channel), pixels) for channel, pixels in enumerate(pictures)]
    rows = [("", cells[first : first + columns]) for first in range(0, len(cells), columns)]
    note = f"weights of {name}, {len(cells)} filters of {values.shape[1]}x{values.shape[2]}"
    path = output / f"weights_{name}" / f"weights_{name}.png"
    render.save_picture(path, render.figure(rows, classifier.title, note, scale=1, smooth=0))
    return f"{note}, of {classifier.title}", path


DRAWINGS = {"weights": _draw_weights}


def _spoken(name: str) -> str:
    return name.replace("_", " ", 1)


@contextmanager
def _interrupts_noted() -> Iterator[threading.Event]:
    """Let Ctrl-C and SIGTERM set an event in place of ending the program; a second one ends it."""
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
