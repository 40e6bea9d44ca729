"""method_2: a config → frames, an animation, the final picture and a record of the run."""

from __future__ import annotations

import json
import math
import platform
import re
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import paddle
from tqdm import tqdm

from . import __version__, render, runtime
from .config import GenerateConfig, as_dict
from .errors import ConfigError, ModelError, OutputError, look_up
from .files import make_folder, whole_file
from .images import load_image
from .models import Classifier, load_model, network_errors
from .parametrisations import PARAMETRISATIONS, Fourier
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
    start = start_of(config, classifier)
    folder = output / f"class_{target}"
    with _interrupts_noted() as interrupted:
        with network_errors(classifier):
            rows, pictures = _ascend(config, classifier, target, start, folder, interrupted)
        last = rows[-1]
        name, steps = classifier.class_name(target), last["iteration"]
        animation = folder / f"class_{target}.gif"
        times = config.animation
        render.save_animation(animation, pictures, times.frame_ms, times.hold_ms)
        panel = (f"{name} {last['probability']:.1%}", pictures[-1])
        note = f"class {target}  ·  {steps} iterations"
        final = render.figure([("", [panel])], classifier.title, note, scale=3)
        render.save_picture(folder / f"class_{target}.png", final)
        record = {
            "target": target,
            "class": name,
            "network": classifier.title,
            "complete": steps == config.iterations,
            "final_score": last["score"],
            "final_probability": last["probability"],
            "frames": rows,
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
    if not record["complete"]:
        say(f"interrupted after {steps} of {config.iterations} iterations")
    say(
        f"{name} (class {target}), {steps} iterations on {classifier.title}: score "
        f"{last['score']:.2f}, probability {last['probability']:.1%} → {animation}"
    )
    return record["complete"]


def start_of(config: GenerateConfig, classifier: Classifier) -> paddle.Tensor:
    """The image to begin with: noise, the mean colour, or a picture."""
    if config.init not in ("noise", "grey", "gray"):
        return classifier.prepare([load_image(config.init)])
    shape = (1, len(classifier.mean), classifier.image_size, classifier.image_size)
    return noise(shape, config.init_std if config.init == "noise" else 0.0, config.seed)


def frames_of(
    config: GenerateConfig,
    classifier: Classifier,
    target: int | Sequence[int],
    start: paddle.Tensor,
) -> Iterator[Frame]:
    """The ascent that a config describes, towards one class or several at once."""
    low, high = config.priors.zoom if len(config.priors.zoom) == 2 else (1, 0)
    if low > high:
        raise ConfigError(
            f"priors.zoom must be two factors, the smaller first, not {config.priors.zoom}"
        )
    parametrisation = look_up("parametrisation", config.parametrisation, PARAMETRISATIONS)
    if parametrisation is Fourier:
        parametrisation = partial(
            Fourier, mean=classifier.mean, std=classifier.std, **as_dict(config.fourier)
        )
    return class_image(
        classifier.network,
        target,
        iterations=config.iterations,
        learning_rate=config.learning_rate,
        cooling=config.cooling,
        l2=config.l2,
        total_variation=config.priors.total_variation,
        shift=config.priors.shift,
        rotation=config.priors.rotation,
        zoom=(low, high),
        seed=config.seed,
        init=start,
        parametrisation=parametrisation,
    )


def _ascend(
    config: GenerateConfig,
    classifier: Classifier,
    target: int,
    start: paddle.Tensor,
    folder: Path,
    interrupted: threading.Event,
) -> tuple[list[dict[str, Any]], list[np.ndarray]]:
    """Run the ascent; write every n-th frame, and the last one, as it comes.

    Return the record and the pixels of each.
    """
    ascent = frames_of(config, classifier, target, start)
    moved = config.priors.shift or config.priors.rotation or set(config.priors.zoom) != {1}
    rows: list[dict[str, Any]] = []
    pictures: list[np.ndarray] = []
    with tqdm(total=config.iterations, desc=f"class {target}", unit="it") as progress:
        for frame in ascent:
            progress.n = frame.iteration
            progress.set_postfix_str(f"score={frame.score:.2f}{' (moved)' if moved else ''}")
            if not math.isfinite(frame.score):
                raise ModelError(
                    f"the score is no number after {frame.iteration} iterations; lower "
                    "learning_rate, lambda or init_std"
                )
            if frame.iteration == 0:
                _remove_frames(folder / "pp", target)
            last = frame.iteration == config.iterations or interrupted.is_set()
            if last or frame.iteration % config.frames.every == 0:
                row = _measured(classifier, target, frame)
                pictures.append(classifier.to_pixels(frame.image)[0])
                render.save_picture(folder / row["file"], pictures[-1])
                rows.append(row)
            if last:
                break
        progress.refresh()
    return rows, pictures


def _remove_frames(folder: Path, target: int) -> None:
    """Take away an earlier run's frames: two sequences must not mix."""
    if not folder.is_dir():
        return
    try:
        for path in folder.iterdir():
            if re.fullmatch(rf"c_{target}_iter_[0-9]+_pp\.png", path.name):
                path.unlink()
    except OSError as error:
        raise OutputError(f"cannot remove the old frames in {folder}: {error.strerror}") from error


def _measured(classifier: Classifier, target: int, frame: Frame) -> dict[str, Any]:
    """Score and probability of a frame as it is, without the shift of its step."""
    with paddle.no_grad():
        logits = logits_of(classifier.network(frame.image))
    return {
        "iteration": frame.iteration,
        "file": f"pp/c_{target}_iter_{frame.iteration}_pp.png",
        "score": float(logits[0, target]),
        "probability": float(paddle.nn.functional.softmax(logits, axis=1)[0, target]),
    }


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
