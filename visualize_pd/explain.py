"""method_1: a config → a figure for every image."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import paddle
from tqdm import tqdm

from . import hooks, render, runtime
from .config import ExplainConfig, as_dict
from .errors import ConfigError, ImageError, ModelError, nearest
from .files import make_folder
from .images import find_images, load_image, to_tensor
from .methods import METHODS
from .models import Classifier, load_model, network_errors
from .saliency import reduce
from .targets import logits_of, read_target, resolve_targets

# What a method's panels show, where that is not its name.
QUANTITIES = {
    "gradient": "gradients",
    "saliency": "gradients",
    "grad_times_input": "gradient x input",
}


def explain(config: ExplainConfig, say: Callable[[str], None], complain: Callable[[str], None]):
    """Explain every image of a config; return how many were done and how many were skipped.

    `say` gets a line for every image, `complain` one for every image that had to be skipped.
    """
    method = choose_method(config.method)
    paths = find_images(config.images)
    folder = make_folder(Path(config.output) / "method_1")
    runtime.use_device(config.device)
    classifier = load_model(**as_dict(config.model))
    target = read_target(config.target, classifier.labels)
    names = _output_names(paths)
    done = 0
    hidden = True if len(paths) < 2 else None  # None: also where there is no terminal
    with tqdm(total=len(paths), unit="image", disable=hidden, leave=False) as progress:
        for start in range(0, len(paths), config.batch_size):
            batch = []
            for path in paths[start : start + config.batch_size]:
                try:
                    batch.append((path, classifier.crop(load_image(path))))
                except ImageError as error:
                    complain(f"skipped: {error}")
                    progress.update()
            if not batch:
                continue
            explained = _explain_batch(method, classifier, target, batch)
            for path, figure, array, line in explained:
                output = folder / f"{names[path]}_pp.jpg"
                render.save_picture(output, figure)
                if config.save_arrays:
                    render.save_array(output.with_suffix(".npy"), array)
                say(f"{path.name}: {line} → {output}")
                progress.update()
                done += 1
    return done, len(paths) - done


class Choice(NamedTuple):
    """A method with its options; `channel` and `sign` apart, as a figure shows the map both ways.

    Methods outside the gradient family have an empty `reduction`.
    """

    name: str
    options: dict[str, Any]
    reduction: dict[str, str]

    def attribution(self, network, images, target) -> paddle.Tensor:
        """The method's map before its reduction."""
        whole = {"channel": "none", "sign": "signed"} if self.reduction else {}
        return METHODS[self.name](network, images, target, **self.options, **whole)

    def reduced(self, attribution: paddle.Tensor) -> paddle.Tensor:
        return reduce(attribution, **self.reduction) if self.reduction else attribution

    def titles(self) -> tuple[str, str]:
        """Of the panel by channel, and of the panel in one channel."""
        quantity = QUANTITIES.get(self.name, self.name.replace("_", " "))
        channel, sign = self.reduction.get("channel"), self.reduction.get("sign")
        part = f"{sign} " if channel == "none" and sign != "signed" else ""
        together = f"{channel} of {sign} {quantity}" if channel in ("max", "sum") else quantity
        if (channel, sign) == ("max", "absolute"):
            together = f"max {quantity}"
        by_channel = f"{part}{quantity} across RGB channels"
        return by_channel[0].upper() + by_channel[1:], together[0].upper() + together[1:]


def choose_method(method: str | dict) -> Choice:
    """A method's name, or its name and options, checked."""
    options = {"name": method} if isinstance(method, str) else dict(method)
    name = options.pop("name", None)
    if not isinstance(name, str) or name not in METHODS:
        raise ConfigError(f"unknown method '{name}'; {nearest(str(name), METHODS)}")
    known = _options(METHODS[name])
    for option in options:
        if option not in known:
            raise ConfigError(f"unknown key 'method.{option}'; {nearest(option, known)}")
        if not isinstance(options[option], (str, int, float)):
            raise ConfigError(f"method.{option} must be a single value")
    keys = [key for key in ("channel", "sign") if key in known]
    reduction = {key: options.pop(key, known[key].default) for key in keys}
    choice = Choice(name, options, reduction)
    choice.reduced(paddle.zeros([1, 1, 1, 1]))  # a wrong value shows before any work
    return choice


def _explain_batch(method: Choice, classifier: Classifier, target: int | None, batch):
    """Yield path, figure, raw map and console line for each `(path, cropped picture)`.

    The one pass of the method gives the predictions too.
    """
    images = to_tensor([picture for _, picture in batch], classifier.mean, classifier.std)
    with network_errors(classifier), hooks.capture(classifier.network) as calls:
        attribution = method.attribution(classifier.network, images, target)
    logits = logits_of(calls[0][1]).detach()
    if not bool(paddle.isfinite(logits).all()):
        raise ModelError(f"{classifier.title} gave scores that are no numbers")
    targets = resolve_targets(target, logits).numpy()
    probabilities = paddle.nn.functional.softmax(logits, axis=1).numpy()
    maps, reduced = attribution.numpy(), method.reduced(attribution).numpy()
    pictures = classifier.to_pixels(images)
    for index, (path, _) in enumerate(batch):
        panels = render.gradient_panels(
            pictures[index], maps[index], reduced[index], method.titles()
        )
        top = probabilities[index].argsort()[::-1][:5]
        chosen = int(targets[index])
        ranked = [_with_probability(classifier, c, probabilities[index]) for c in top]
        asked = _with_probability(classifier, chosen, probabilities[index])
        if target is None:
            line, note = ", ".join(ranked), "predicted"
        else:
            line = f"{asked} (top 5: {', '.join(ranked)})"
            note = "asked for; predicted: " + ranked[0]
        caption = f"{asked}  ·  {classifier.title}"
        detail = f"{path.name}  ·  {method.name} of class {chosen}, {note}"
        yield path, render.figure(panels, caption, detail), reduced[index], line


def _options(method: Callable) -> dict[str, inspect.Parameter]:
    parameters = inspect.signature(method).parameters
    return {name: p for name, p in parameters.items() if p.kind is p.KEYWORD_ONLY}


def _with_probability(classifier: Classifier, index: int, probabilities: np.ndarray) -> str:
    return f"{classifier.class_name(int(index))} {probabilities[index]:.1%}"


def _output_names(paths: list[Path]) -> dict[Path, str]:
    """A name for each path: its stem, with a number where stems of several folders are alike."""
    names: dict[Path, str] = {}
    taken = set()
    for path in paths:
        name, number = path.stem, 1
        while name.lower() in taken:
            number += 1
            name = f"{path.stem}_{number}"
        taken.add(name.lower())
        names[path] = name
    return names
