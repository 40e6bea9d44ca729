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
from tqdm import tqdm

from . import __version__, render, runtime
from .config import GenerateConfig, as_dict
from .errors import ConfigError, ModelError
from .files import make_folder, whole_file
from .images import load_image
from .models import Classifier, load_model, network_errors
from .synthesis import Frame, class_image, noise
from .targets import logits_of, read_target


def generate(config: GenerateConfig, say: Callable[[str], None]) -> bool:
    """Make the class image of a config; return whether the run went to its end.

    An interrupt ends the ascent; what was made until then is written all the same.
    """
    output = make_folder(Path(config.output) / "method_2")
    device = runtime.use_device(config.device)
    classifier = load_model(**as_dict(config.model))
    target = read_target(config.target, classifier.labels)
    if target is None:
        raise ConfigError("target must be a class index or a class name")
    start = _start(config, classifier)
    folder = output / f"class_{target}"
    with _interrupts_noted() as interrupted:
        with network_errors(classifier):
            frames = _ascend(config, classifier, target, start, folder / "pp", interrupted)
        complete = frames[-1].iteration == config.iterations
        measured = _measure(classifier, target, frames)
        pictures = [classifier.to_pixels(frame.image)[0] for frame in frames]
        animation, final = folder / f"class_{target}.gif", folder / f"class_{target}.png"
        render.save_animation(
            animation, pictures, config.animation.frame_ms, config.animation.hold_ms
        )
        name, last = classifier.class_name(target), measured[-1]
        probability, score = last["probability"], last["score"]
        title = f"{name} {probability:.1%}"
        note = f"class {target}  ·  {last['iteration']} iterations"
        panel = [(title, pictures[-1])]
        render.save_picture(final, render.figure(panel, classifier.title, note, scale=3))
        record = {
            "target": target,
            "class": name,
            "network": classifier.title,
            "complete": complete,
            "final_score": score,
            "final_probability": probability,
            "frames": measured,
            "seed": config.seed,
            "device": device,
            "versions": {
                "visualize_pd": __version__,
                "paddle": paddle.__version__,
                "numpy": np.__version__,
                "python": platform.python_version(),
            },
            "config": as_dict(config),
        }
        with whole_file(folder / "run.json") as file:
            file.write(json.dumps(record, indent=2, ensure_ascii=False).encode())
    say(
        f"{name} (class {target}), {last['iteration']} iterations on {classifier.title}: "
        f"score {score:.2f}, probability {probability:.1%} → {animation}"
    )
    return complete


def _start(config: GenerateConfig, classifier: Classifier) -> paddle.Tensor:
    """The image to begin with: noise, the mean colour, or a picture."""
    if config.init not in ("noise", "grey", "gray"):
        return classifier.to_tensor([load_image(config.init)])
    shape = (1, len(classifier.mean), classifier.image_size, classifier.image_size)
    return noise(shape, config.init_std if config.init == "noise" else 0.0, config.seed)


def _ascend(
    config: GenerateConfig,
    classifier: Classifier,
    target: int,
    start: paddle.Tensor,
    folder: Path,
    interrupted: threading.Event,
) -> list[Frame]:
    """Run the ascent and write every n-th frame, and the last one, as it comes."""
    ascent = class_image(
        classifier.network,
        target,
        iterations=config.iterations,
        learning_rate=config.learning_rate,
        l2=config.l2,
        total_variation=config.priors.total_variation,
        shift=config.priors.shift,
        seed=config.seed,
        init=start,
    )
    kept: list[Frame] = []
    frame = None
    with tqdm(total=config.iterations, desc=f"class {target}", unit="it") as progress:
        for frame in ascent:
            progress.n = frame.iteration
            progress.set_postfix(score=f"{frame.score:.2f}")
            if not math.isfinite(frame.score):
                raise ModelError(
                    f"the score is no number after {frame.iteration} iterations; lower "
                    "learning_rate, lambda or init_std"
                )
            if frame.iteration == 0:
                _remove_frames(folder, target)
            if frame.iteration % config.frames.every == 0:
                kept.append(_saved(frame, classifier, target, folder))
            if interrupted.is_set():
                break
        progress.refresh()
    if kept[-1] is not frame:
        kept.append(_saved(frame, classifier, target, folder))
    return kept


def _saved(frame: Frame, classifier: Classifier, target: int, folder: Path) -> Frame:
    path = folder / _frame_name(target, frame.iteration)
    render.save_picture(path, classifier.to_pixels(frame.image)[0])
    return frame


def _frame_name(target: int, iteration: int) -> str:
    return f"c_{target}_iter_{iteration}_pp.png"


def _remove_frames(folder: Path, target: int) -> None:
    """Take away an earlier run's frames: two sequences must not mix."""
    pattern = re.compile(_frame_name(target, 0).replace("_0_", r"_\d+_").replace(".", r"\."))
    if folder.is_dir():
        for path in folder.iterdir():
            if pattern.fullmatch(path.name):
                path.unlink()


def _measure(classifier: Classifier, target: int, frames: list[Frame]) -> list[dict[str, Any]]:
    """Score and probability of each frame as it is, without the shift of its step."""
    rows = []
    for frame in frames:
        with paddle.no_grad():
            logits = logits_of(classifier.network(frame.image))
        rows.append(
            {
                "iteration": frame.iteration,
                "file": f"pp/{_frame_name(target, frame.iteration)}",
                "score": float(logits[0, target]),
                "probability": float(paddle.nn.functional.softmax(logits, axis=1)[0, target]),
            }
        )
    return rows


@contextmanager
def _interrupts_noted() -> Iterator[threading.Event]:
    """Let Ctrl-C and SIGTERM set an event in place of ending the program; a second one ends it."""
    noted = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield noted  # signals can only be handled in the main thread
        return

    def note(number, stack):
        if noted.is_set():
            raise KeyboardInterrupt
        noted.set()

    before = {n: signal.signal(n, note) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield noted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
