"""What a config of method 2 asks for: which ascent, and what its pictures are called and tell."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial, reduce
from typing import Any, NamedTuple

import paddle
from PIL import Image

from . import priors
from .config import GenerateConfig, PriorsConfig, as_dict
from .errors import ConfigError, look_up
from .features import find_layers, maps_of
from .hooks import capture, frozen
from .images import load_image, to_tensor
from .models import Classifier
from .objectives import (
    Objective,
    class_score,
    energy,
    filter_response,
    likeness,
    mixed_score,
)
from .parametrisations import PARAMETRISATIONS, Fourier
from .passes import best_batch
from .synthesis import Frame, Upkeep, deep_dream, in_step, inversion, natural_image, noise
from .targets import (
    class_scores,
    logits_of,
    probabilities,
    read_target,
    resolve_targets,
)

Frames = Callable[["Frame | None"], Iterator[Frame]]
Measure = Callable[[paddle.Tensor], dict[str, list[float]]]

MOST_IMAGES = 256


class Plan(NamedTuple):
    """An ascent of `last` steps, from its start or from the frame that `frames` is given.

    `titles` name its images; `measure` rates them as they are, untransformed.
    """

    name: str
    titles: list[str]
    frames: Frames
    last: int
    measure: Measure
    about: dict[str, Any]


def start_of(config: GenerateConfig, classifier: Classifier) -> paddle.Tensor:
    """The image to begin with: noise, the mean colour, or a picture."""
    if config.init not in ("noise", "grey", "gray"):
        return classifier.prepare([load_image(config.init)])
    shape = (1, len(classifier.mean), classifier.image_size, classifier.image_size)
    return noise(shape, config.init_std if config.init == "noise" else 0.0, config.seed)


def ascent_of(
    config: GenerateConfig,
    classifier: Classifier,
    objective: Objective,
    start: paddle.Tensor,
    resume: Frame | None = None,
) -> Iterator[Frame]:
    """The ascent of an objective with the parametrisation and the priors of a config."""
    canvas = look_up("parametrisation", config.parametrisation, PARAMETRISATIONS)
    if canvas is Fourier:
        canvas = partial(
            Fourier, mean=classifier.mean, std=classifier.std, **as_dict(config.fourier)
        )
    own = config.priors
    return natural_image(
        classifier.network,
        objective,
        start,
        iterations=config.iterations,
        learning_rate=config.learning_rate,
        l2=config.l2,
        total_variation=own.total_variation,
        beta=1 if own.beta is None else own.beta,
        alpha_norm=own.alpha_norm,
        alpha=own.alpha,
        shift=own.shift,
        rotation=own.rotation,
        zoom=own.zoom,
        cooling=config.cooling,
        upkeep=_upkeep(own, classifier),
        seed=config.seed,
        parametrisation=canvas,
        resume=resume,
    )


def _upkeep(own: PriorsConfig, classifier: Classifier) -> list[Upkeep]:
    """What the priors of a config do to the pixels after each step."""
    low, high = (
        paddle.to_tensor([(end - m) / s for m, s in zip(classifier.mean, classifier.std)])
        for end in (0, 1)
    )
    low, high = (end.reshape([1, -1, 1, 1]).astype("float32") for end in (low, high))

    def blurred(image: paddle.Tensor, _: Any, iteration: int) -> paddle.Tensor:
        return image if iteration % own.blur_every else priors.blur(image, own.blur)

    def without_low_norm(image: paddle.Tensor, *_: Any) -> paddle.Tensor:
        size = (image * image).sum(axis=1, keepdim=True)
        return priors.without_small(image, size, own.small_norm)

    def without_low_contribution(
        image: paddle.Tensor, gradient: paddle.Tensor, _: int
    ) -> paddle.Tensor:
        size = (image * gradient).sum(axis=1, keepdim=True).abs()
        return priors.without_small(image, size, own.small_contribution)

    def clamped(image: paddle.Tensor, *_: Any) -> paddle.Tensor:
        return paddle.minimum(paddle.maximum(image, low), high)

    choices: dict[Upkeep, float] = {
        blurred: own.blur,
        without_low_norm: own.small_norm,
        without_low_contribution: own.small_contribution,
        clamped: own.clamp,
    }
    return [change for change, wanted in choices.items() if wanted]


def _class_image(config: GenerateConfig, classifier: Classifier) -> Plan:
    if isinstance(config.target, dict):
        return _mixed_classes(config, classifier, config.target)
    asked = config.target if isinstance(config.target, list) else [config.target]
    targets = [_class_of(target, classifier) for target in asked]

    def measure_of(part: list[int]) -> Measure:
        def measure(images: paddle.Tensor) -> dict[str, list[float]]:
            logits = logits_of(classifier.network(images))
            chosen = resolve_targets(part, logits)
            return {
                "score": class_scores(logits, chosen).numpy().tolist(),
                "probability": class_scores(logits, chosen, "probability").numpy().tolist(),
            }

        return measure

    frames, measure = _many(config, classifier, "target", targets, class_score, measure_of)
    names = [classifier.class_name(target) for target in targets]
    about: dict[str, Any] = {"target": targets, "class": names}
    if not isinstance(config.target, list):
        about = {key: value for key, (value,) in about.items()}
    return Plan(f"class_{_joined(targets)}", names, frames, config.iterations, measure, about)


def _mixed_classes(config: GenerateConfig, classifier: Classifier, asked: dict) -> Plan:
    weights: dict[int, float] = {}
    for name, weight in asked.items():
        target = _class_of(name, classifier)
        if type(weight) not in (int, float) or not math.isfinite(weight):
            raise ConfigError(f"the weight of {name} in target must be a number, not {weight!r}")
        if target in weights:
            raise ConfigError(f"target names {classifier.class_name(target)} twice")
        weights[target] = weight
    objective = mixed_score(weights)
    names = {classifier.class_name(target): weight for target, weight in weights.items()}

    def measure(images: paddle.Tensor) -> dict[str, list[float]]:
        logits = logits_of(classifier.network(images))
        shares = probabilities(logits)
        score = reduce(operator.add, (w * logits[:, target] for target, w in weights.items()))
        each = {
            f"probability of {name}": shares[:, target].numpy().tolist()
            for name, target in zip(names, weights)
        }
        return {"score": score.numpy().tolist(), **each}

    def frames(resume: Frame | None) -> Iterator[Frame]:
        return ascent_of(config, classifier, objective, start_of(config, classifier), resume)

    title = " + ".join(name if w == 1 else f"{w:g} {name}" for name, w in names.items())
    about = {"target": weights, "class": list(names)}
    return Plan(f"mix_{_joined(weights)}", [title], frames, config.iterations, measure, about)


def _filter(config: GenerateConfig, classifier: Classifier) -> Plan:
    layer, position = _layer(config), config.position
    if position is not None and len(position) != 2:
        raise ConfigError(f"position must be [row, column], not {position}")
    channels = _channels(config, classifier, layer)
    where = f" at {position[0]}, {position[1]}" if position else ""

    def objective_of(part: list[int]) -> Objective:
        at = (position[0], position[1]) if position else None
        return filter_response(layer, part, at)

    def measure_of(part: list[int]) -> Measure:
        return _score_of(objective_of(part), classifier)

    frames, measure = _many(config, classifier, "channel", channels, objective_of, measure_of)
    several = isinstance(config.channel, (list, str))
    alone = [f"{layer}, channel {channel}{where}" for channel in channels]
    titles = list(map(str, channels)) if several else alone
    about = {"layer": layer, "channel": channels if several else channels[0], "position": position}
    name = f"filter_{layer}_{_joined(channels)}{where.replace(',', '').replace(' ', '_')}"
    return Plan(name, titles, frames, config.iterations, measure, about)


def _deep_dream(config: GenerateConfig, classifier: Classifier) -> Plan:
    layer = _layer(config)
    photograph = to_tensor([_photograph(config)], classifier.mean, classifier.std)

    def frames(resume: Frame | None) -> Iterator[Frame]:
        return deep_dream(
            classifier.network,
            layer,
            photograph,
            octaves=config.octaves,
            octave_scale=config.octave_scale,
            iterations=config.iterations,
            learning_rate=config.learning_rate,
            total_variation=config.priors.total_variation,
            shift=config.priors.shift,
            seed=config.seed,
            resume=resume,
        )

    measure = _score_of(energy(layer), classifier)
    last = config.octaves * config.iterations
    titles = [f"a dream of {layer}"]
    return Plan(f"dream_{layer}", titles, frames, last, measure, {"layer": layer})


def _inversion(config: GenerateConfig, classifier: Classifier) -> Plan:
    layer = _layer(config)
    image, own = classifier.prepare([_photograph(config)]), config.priors

    def frames(resume: Frame | None) -> Iterator[Frame]:
        return inversion(
            classifier.network,
            layer,
            image,
            iterations=config.iterations,
            learning_rate=config.learning_rate,
            alpha=own.alpha,
            alpha_norm=own.alpha_norm,
            beta=2 if own.beta is None else own.beta,
            total_variation=own.total_variation,
            shift=own.shift,
            seed=config.seed,
            resume=resume,
        )

    measure = _score_of(likeness(classifier.network, layer, image), classifier)
    titles = [f"what {layer} keeps"]
    return Plan(f"inversion_{layer}", titles, frames, config.iterations, measure, {"layer": layer})


PLANS = {
    "class_image": _class_image,
    "filter": _filter,
    "deep_dream": _deep_dream,
    "inversion": _inversion,
}


def _many(
    config: GenerateConfig,
    classifier: Classifier,
    key: str,
    numbers: list[int],
    objective_of: Callable[[list[int]], Objective],
    measure_of: Callable[[list[int]], Measure],
) -> tuple[Frames, Measure]:
    """An image for each class or channel, in batches that climb in step."""
    if not 1 <= len(numbers) <= MOST_IMAGES:
        raise ConfigError(
            f"{key} asks for {len(numbers)} images; one run makes 1 to {MOST_IMAGES} of them"
        )
    start = start_of(config, classifier)
    size = best_batch(classifier.network, start) if len(numbers) > 1 else 1
    parts = [numbers[first : first + size] for first in range(0, len(numbers), size)]

    def frames(resume: Frame | None) -> Iterator[Frame]:
        ascents = [
            partial(
                ascent_of,
                config,
                classifier,
                objective_of(part),
                paddle.concat([start] * len(part)),
            )
            for part in parts
        ]
        return in_step(ascents, resume)

    def measure(images: paddle.Tensor) -> dict[str, list[float]]:
        each = [
            measure_of(part)(images[size * n : size * n + len(part)])
            for n, part in enumerate(parts)
        ]
        return {name: [value for found in each for value in found[name]] for name in each[0]}

    return frames, measure


def _class_of(target: str | int, classifier: Classifier) -> int:
    found = read_target(target, classifier.labels)
    if found is None:
        raise ConfigError("target must be a class index or a class name")
    return found


def _layer(config: GenerateConfig) -> str:
    if config.layer is None:
        raise ConfigError(f"objective {config.objective} needs a layer, such as features.10")
    return str(config.layer)  # a number in a Sequential


def _channels(config: GenerateConfig, classifier: Classifier, layer: str) -> list[int]:
    """`channel`: one, a list, `all`, or a range such as `0-35`."""
    wanted = config.channel
    if isinstance(wanted, int):
        return [wanted]
    if isinstance(wanted, list):
        return wanted
    (found,) = find_layers(classifier.network, layer)
    if wanted == "all":
        with frozen(classifier.network), paddle.no_grad(), capture(found) as calls:
            classifier.network(start_of(config, classifier))
        return list(range(maps_of(found, calls, layer).shape[1]))
    ends = re.fullmatch(r"([0-9]{1,6})-([0-9]{1,6})", wanted)
    if not ends or int(ends[1]) > int(ends[2]):
        raise ConfigError(
            f"channel must be a number, a list, all or a range such as 0-15, not '{wanted}'"
        )
    return list(range(int(ends[1]), int(ends[2]) + 1))


def _joined(numbers: Iterable[int]) -> str:
    """Numbers as a part of a file's name."""
    numbers = list(numbers)
    if len(numbers) > 2 and numbers == list(range(numbers[0], numbers[-1] + 1)):
        return f"{numbers[0]}-{numbers[-1]}"
    text = "_".join(map(str, numbers))
    return text if len(text) <= 80 else f"{numbers[0]}_and_{len(numbers) - 1}_more"


def _photograph(config: GenerateConfig) -> Image.Image:
    if config.init in ("noise", "grey", "gray"):
        raise ConfigError(f"objective {config.objective} needs a picture: init=photo.jpg")
    return load_image(config.init)


def _score_of(objective: Objective, classifier: Classifier) -> Measure:
    """The score of images as they are, without the transforms of a step."""

    def measure(images: paddle.Tensor) -> dict[str, list[float]]:
        return {"score": objective(classifier.network, images).numpy().tolist()}

    return measure
