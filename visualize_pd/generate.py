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
from typing import Any, NamedTuple

import numpy as np
import paddle
from PIL import Image
from tqdm import tqdm

from . import __version__, priors, render, runtime
from .config import GenerateConfig, PriorsConfig, as_dict
from .errors import ConfigError, ModelError, OutputError, look_up
from .files import make_folder, whole_file
from .images import load_image, to_tensor
from .models import Classifier, load_model, network_errors
from .objectives import Objective, class_score, energy, filter_response, likeness
from .parametrisations import PARAMETRISATIONS, Fourier
from .synthesis import Frame, Upkeep, ascend, deep_dream, inversion, noise
from .targets import logits_of, probabilities, read_target


class Plan(NamedTuple):
    """What a config asks for: frames, how they are named, and what is noted of each."""

    name: str
    prefix: str
    title: str
    frames: Iterator[Frame]
    last: int
    measure: Callable[[paddle.Tensor], dict[str, float]]
    about: dict[str, Any]


def generate(config: GenerateConfig, say: Callable[[str], None]) -> bool:
    """Make the image of a config; return whether the run went to its end.

    An interrupt ends the ascent; what was made until then is written all the same.
    """
    suffixes = {suffix[1:]: suffix for suffix in render.ANIMATIONS}
    suffix = look_up("animation format", config.animation.format, suffixes)
    output = make_folder(Path(config.output) / "method_2")
    device = runtime.use_device(config.device)
    classifier = load_model(**as_dict(config.model))
    with _interrupts_noted() as interrupted:
        with network_errors(classifier):
            plan = look_up("objective", config.objective, PLANS)(config, classifier)
            folder = output / plan.name
            rows, pictures = _write_frames(config, classifier, plan, folder, interrupted)
        last = rows[-1]
        steps = last["iteration"]
        animation = folder / f"{plan.name}{suffix}"
        times = config.animation
        render.save_animation(animation, pictures, times.frame_ms, times.hold_ms)
        sure = f" {last['probability']:.1%}" if "probability" in last else ""
        note = f"{plan.name.replace('_', ' ', 1)}  ·  {steps} iterations"
        panel = (f"{plan.title}{sure}", pictures[-1])
        scale = 3 if max(pictures[-1].shape) <= 400 else 1
        final = render.figure([("", [panel])], classifier.title, note, scale=scale)
        render.save_picture(folder / f"{plan.name}.png", final)
        record = {
            **plan.about,
            "network": classifier.title,
            "complete": steps == plan.last,
            **{f"final_{key}": value for key, value in last.items() if type(value) is float},
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
        say(f"interrupted after {steps} of {plan.last} iterations")
    probability = f", probability{sure}" if sure else ""
    say(
        f"{plan.title} ({plan.name.replace('_', ' ', 1)}), {steps} iterations on "
        f"{classifier.title}: score {last['score']:.4g}{probability} → {animation}"
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
    """The ascent that a config describes, towards one class, or towards several at once."""
    count = 1 if isinstance(target, int) else len(target)
    many = paddle.concat([start] * count)
    return objective_frames(config, classifier, class_score(target), many)


def objective_frames(
    config: GenerateConfig, classifier: Classifier, objective: Objective, start: paddle.Tensor
) -> Iterator[Frame]:
    """The ascent of an objective with the parametrisation and the priors of a config."""
    zoom, shift, rotation = config.priors.zoom, config.priors.shift, config.priors.rotation
    if len(zoom) != 2 or zoom[0] > zoom[1]:
        raise ConfigError(f"priors.zoom must be two factors, the smaller first, not {zoom}")
    canvas = look_up("parametrisation", config.parametrisation, PARAMETRISATIONS)
    if canvas is Fourier:
        canvas = partial(
            Fourier, mean=classifier.mean, std=classifier.std, **as_dict(config.fourier)
        )
    return ascend(
        classifier.network,
        objective,
        canvas(start),
        iterations=config.iterations,
        learning_rate=config.learning_rate,
        cooling=config.cooling,
        transforms=[
            lambda images, random: priors.random_shift(images, shift, random),
            lambda images, random: priors.random_view(images, rotation, zoom, random),
        ],
        penalties=[
            (config.l2, priors.l2),
            (config.priors.total_variation, priors.total_variation),
            (config.priors.alpha_norm, priors.alpha_norm),
        ],
        upkeep=_upkeep(config.priors, classifier),
        seed=config.seed,
    )


def _upkeep(own: PriorsConfig, classifier: Classifier) -> list[Upkeep]:
    """What the priors of a config do to the pixels after each step."""
    low, high = (
        paddle.to_tensor([(end - m) / s for m, s in zip(classifier.mean, classifier.std)])
        for end in (0, 1)
    )
    low, high = (end.reshape([1, -1, 1, 1]).astype("float32") for end in (low, high))

    def blurred(image, gradient, iteration):
        return image if iteration % own.blur_every else priors.blur(image, own.blur)

    def without_low_norm(image, gradient, iteration):
        size = (image * image).sum(axis=1, keepdim=True)
        return priors.without_small(image, size, own.small_norm)

    def without_low_contribution(image, gradient, iteration):
        size = (image * gradient).sum(axis=1, keepdim=True).abs()
        return priors.without_small(image, size, own.small_contribution)

    def clamped(image, gradient, iteration):
        return paddle.minimum(paddle.maximum(image, low), high)

    choices = {
        blurred: own.blur,
        without_low_norm: own.small_norm,
        without_low_contribution: own.small_contribution,
        clamped: own.clamp,
    }
    return [change for change, wanted in choices.items() if wanted]


def _class_image(config: GenerateConfig, classifier: Classifier) -> Plan:
    target = read_target(config.target, classifier.labels)
    if target is None:
        raise ConfigError("target must be a class index or a class name")

    def measure(image: paddle.Tensor) -> dict[str, float]:
        logits = logits_of(classifier.network(image))
        share = probabilities(logits)[0, target]
        return {"score": float(logits[0, target]), "probability": float(share)}

    frames = frames_of(config, classifier, target, start_of(config, classifier))
    name = classifier.class_name(target)
    about = {"target": target, "class": name}
    return Plan(f"class_{target}", f"c_{target}", name, frames, config.iterations, measure, about)


def _filter(config: GenerateConfig, classifier: Classifier) -> Plan:
    layer, channel = _layer(config), config.channel or 0
    objective = filter_response(layer, channel)
    frames = objective_frames(config, classifier, objective, start_of(config, classifier))
    title = f"{layer}, channel {channel}"
    about = {"layer": layer, "channel": channel}
    measure = _score_of(objective, classifier)
    name = f"filter_{layer}_{channel}"
    return Plan(name, name, title, frames, config.iterations, measure, about)


def _deep_dream(config: GenerateConfig, classifier: Classifier) -> Plan:
    layer = _layer(config)
    frames = deep_dream(
        classifier.network,
        layer,
        to_tensor([_photograph(config)], classifier.mean, classifier.std),
        octaves=config.octaves,
        octave_scale=config.octave_scale,
        iterations=config.iterations,
        learning_rate=config.learning_rate,
        total_variation=config.priors.total_variation,
        shift=config.priors.shift,
        seed=config.seed,
    )
    measure = _score_of(energy(layer), classifier)
    name, last = f"dream_{layer}", config.octaves * config.iterations
    return Plan(name, name, f"a dream of {layer}", frames, last, measure, {"layer": layer})


def _inversion(config: GenerateConfig, classifier: Classifier) -> Plan:
    layer = _layer(config)
    image = classifier.prepare([_photograph(config)])
    frames = inversion(
        *(classifier.network, layer, image),
        iterations=config.iterations,
        learning_rate=config.learning_rate,
        alpha_norm=config.priors.alpha_norm,
        total_variation=config.priors.total_variation,
        shift=config.priors.shift,
        seed=config.seed,
    )
    measure = _score_of(likeness(classifier.network, layer, image), classifier)
    name, title = f"inversion_{layer}", f"what {layer} keeps"
    return Plan(name, name, title, frames, config.iterations, measure, {"layer": layer})


PLANS = {
    "class_image": _class_image,
    "filter": _filter,
    "deep_dream": _deep_dream,
    "inversion": _inversion,
}


def _layer(config: GenerateConfig) -> str:
    if config.layer is None:
        raise ConfigError(f"objective {config.objective} needs a layer, such as features.10")
    return str(config.layer)  # a number in a Sequential


def _photograph(config: GenerateConfig) -> Image.Image:
    if config.init in ("noise", "grey", "gray"):
        raise ConfigError(f"objective {config.objective} needs a picture: init=photo.jpg")
    return load_image(config.init)


def _score_of(objective: Objective, classifier: Classifier) -> Callable:
    """The score of an image as it is, without the transforms of its step."""

    def measure(image: paddle.Tensor) -> dict[str, float]:
        return {"score": float(objective(classifier.network, image).sum())}

    return measure


def _write_frames(
    config: GenerateConfig,
    classifier: Classifier,
    plan: Plan,
    folder: Path,
    interrupted: threading.Event,
) -> tuple[list[dict[str, Any]], list[np.ndarray]]:
    """Run the ascent; write every n-th frame, and the last one, as it comes.

    Return the record and the pixels of each.
    """
    own = config.priors
    moved = " (moved)" if own.shift or own.rotation or set(own.zoom) != {1} else ""
    rows: list[dict[str, Any]] = []
    pictures: list[np.ndarray] = []
    with tqdm(total=plan.last, desc=plan.name.replace("_", " ", 1), unit="it") as progress:
        for frame in plan.frames:
            progress.n = frame.iteration
            progress.set_postfix_str(f"score={frame.score:.4g}{moved}")
            if not math.isfinite(frame.score):
                raise ModelError(
                    f"the score is no number after {frame.iteration} iterations; lower "
                    "learning_rate, lambda or init_std"
                )
            if frame.iteration == 0:
                _remove_frames(folder / "pp", plan.prefix)
            last = frame.iteration == plan.last or interrupted.is_set()
            if last or frame.iteration % config.frames.every == 0:
                with paddle.no_grad():
                    measured = plan.measure(frame.image)
                file = f"pp/{plan.prefix}_iter_{frame.iteration}_pp.png"
                rows.append({"iteration": frame.iteration, "file": file, **measured})
                pictures.append(classifier.to_pixels(frame.image)[0])
                render.save_picture(folder / file, pictures[-1])
            if last:
                break
        progress.refresh()
    return rows, pictures


def _remove_frames(folder: Path, prefix: str) -> None:
    """Take away an earlier run's frames: two sequences must not mix."""
    if not folder.is_dir():
        return
    try:
        for path in folder.iterdir():
            if re.fullmatch(rf"{re.escape(prefix)}_iter_[0-9]+_pp\.png", path.name):
                path.unlink()
    except OSError as error:
        raise OutputError(f"cannot remove the old frames in {folder}: {error.strerror}") from error


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
