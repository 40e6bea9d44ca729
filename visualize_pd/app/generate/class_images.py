"""Tasks that make images of classes."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial, reduce
from typing import Any

import numpy as np
import paddle

from ...attribution.configured_score import (
    configured_score,
    is_contrast,
    is_function,
    score_fingerprint,
)
from ...core.config import as_dict, build
from ...core.errors import ConfigError, ModelError, errors_of
from ...core.fingerprint import value_digest
from ...evaluate.generated.transfer import judge_pictures
from ...models.class_names import parse_target
from ...models.classifier import Classifier
from ...models.config import ModelConfig
from ...models.fingerprint import network_fingerprint
from ...models.loading import load_model
from ...network.layers.feature_maps import middle_layer
from ...network.outputs import activation_of
from ...network.scores import (
    class_scores,
    logits_of,
    probabilities,
    resolve_targets,
    score_name,
)
from ...synthesis.accentuation import accentuation
from ...synthesis.ascent import Frame
from ...synthesis.builder import (
    configured_ascent,
    configured_parametrisation,
    configured_start,
    cropped,
)
from ...synthesis.objectives import class_score, mixed_score, output_score
from ..config.schema import GenerateConfig
from .task import (
    Choice,
    Rating,
    Task,
    check_size,
    images_in_batches,
    joined,
    photograph_of,
    score_rating,
)


def class_images(config: GenerateConfig, classifier: Classifier) -> Task:
    """An image for each class in `target`, or one image of several weighted classes.

    If the score is a function, it is one image without a class.
    """
    if is_contrast(config.score):
        raise ConfigError(
            "a contrast explains a picture; for an image of a class without another one, give "
            "them weights: target={tabby: 1, lynx: -1}"
        )
    if is_function(config.score):
        return scored_image(config, classifier)
    if isinstance(config.target, dict):
        return mixed_classes(config, classifier, config.target)
    asked = config.target if isinstance(config.target, list) else [config.target]
    targets = [_class_of(target, classifier) for target in asked]

    def rating_of(part: list[int]) -> Rating:
        return _class_rating(part, classifier)

    copies = _copies(config)
    frames, rate = images_in_batches(
        config,
        classifier,
        "target",
        targets,
        partial(class_score, score=str(config.score)),
        rating_of,
        copies,
    )
    names = [classifier.class_name(target) for target in targets]
    record: dict[str, Any] = {"target": targets, "class": names}
    if not isinstance(config.target, list):
        record = {key: value for key, (value,) in record.items()}
    name, titles = f"class_{joined(targets)}", _distinct(names, targets)
    choose, inputs = None, {}
    if copies > 1:
        titles = [f"{title} {number + 1}" for title in titles for number in range(copies)]
    if config.candidates > 1:
        judge = load_judge(config, classifier)
        choose = chooser(config.candidates, judge, classifier, targets)
        inputs = {"judge": value_digest(network_fingerprint(judge))}
    elif copies > 1:
        name += "_facets"
    about = _classes(targets), frames, config.iterations, rate, record
    return Task(name, titles, *about, choose=choose, inputs=inputs)


def scored_image(config: GenerateConfig, classifier: Classifier) -> Task:
    """An image for which a score that is a function is high."""
    score: Any = configured_score(config.score, classifier)
    name = score_name(score)
    if config.target != GenerateConfig().target:
        raise ConfigError(
            f"score {name} is not that of a class; leave target out, and give the class to the "
            "score if it needs one"
        )
    if _copies(config) > 1:
        raise ConfigError(f"candidates and diversity need a class, but score {name} has none")
    start = configured_start(config, classifier)
    check_size(config, classifier, start.shape)
    objective = output_score(score)

    def frames(resume: Frame | None) -> Iterator[Frame]:
        return configured_ascent(config, classifier, objective, start, resume)

    rate, about = score_rating(objective, classifier), score_fingerprint(score)
    folder = "score_" + re.sub(r"\W+", "_", name)[:60]
    shown = [name], f"score {name}", frames, config.iterations, rate, {"score_function": about}
    return Task(folder, *shown, inputs={"score": value_digest(about)})


def _copies(config: GenerateConfig) -> int:
    """The number of images of each class."""
    if config.candidates > 1 and config.diversity.images > 1:
        raise ConfigError(
            "candidates keeps one image of each class, and diversity.images makes several; "
            "choose one of them"
        )
    return max(config.candidates, config.diversity.images)


def load_judge(config: GenerateConfig, maker: Classifier) -> Classifier:
    """The network that chooses among candidates. It must not be the one that makes them."""
    keys = build(ModelConfig, config.judge, "judge")
    with errors_of("judge"):
        judge = load_model(**as_dict(keys))
    if network_fingerprint(judge)["weights"] == network_fingerprint(maker)["weights"]:
        raise ConfigError(
            f"the judge, {judge.title}, is the network that makes the images; choose another judge"
        )
    return judge


def chooser(
    count: int, judge: Classifier, maker: Classifier, targets: Sequence[int]
) -> Callable[[np.ndarray], Choice]:
    """A function that keeps the picture of each class that the judge is most sure of.

    It gets pictures `[N, H, W, 3]`: `count` of the first class, then those of the next one. What is
    wrong with the judge is told at once.
    """
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype("uint8")
    with errors_of("judge"):
        judge_pictures([judge], [noise], [max(targets)])
    every = [target for target in targets for _ in range(count)]
    titles = _distinct([maker.class_name(target) for target in targets], list(targets))

    def choose(pictures: np.ndarray) -> Choice:
        judged = judge_pictures([judge], list(pictures), every)
        sure = np.array([each.probabilities[judge.name] for each in judged])
        best = sure.reshape(-1, count).argmax(axis=1)
        kept = [number * count + int(place) for number, place in enumerate(best)]
        record = {"judge": judge.title, "judge_probability": sure.tolist(), "kept": kept}
        return Choice(kept, titles, record)

    return choose


def accentuated_image(config: GenerateConfig, classifier: Classifier) -> Task:
    """A photograph in which what a class sees becomes stronger."""
    if not isinstance(config.target, (str, int)):
        raise ConfigError("target must be one class for an accentuation")
    target = _class_of(config.target, classifier)
    image = cropped(config, classifier, photograph_of(config))
    check_size(config, classifier, image.shape)
    named = config.layer is not None
    layer = str(config.layer) if named else middle_layer(classifier.network, image)

    def frames(resume: Frame | None) -> Iterator[Frame]:
        return accentuation(
            classifier.network,
            target,
            image,
            layer=layer,
            nearness=config.nearness,
            parametrisation=configured_parametrisation(config, classifier),
            steps=config,
            priors=config.priors,
            mean=classifier.mean,
            std=classifier.std,
            importance=config.transparency,
            resume=resume,
        )

    name, title = f"accentuation_{target}", classifier.class_name(target)
    record = {"target": target, "class": title, "layer": layer}
    rate = _class_rating([target], classifier)
    return Task(name, [title], _classes([target]), frames, config.iterations, rate, record)


def mixed_classes(config: GenerateConfig, classifier: Classifier, asked: dict) -> Task:
    """One image of several classes. `asked` is `{name or index: weight}`."""
    if _copies(config) > 1:
        raise ConfigError("candidates and diversity need classes without weights in target")
    weights = _weights(asked, classifier)
    objective = mixed_score(weights, str(config.score))
    targets = list(weights)
    names = _distinct([classifier.class_name(target) for target in targets], targets)

    def rate(images: paddle.Tensor) -> dict[str, list[float]]:
        logits = _rated_logits(classifier, images)
        shares = probabilities(logits, activation_of(classifier.network))
        score = reduce(operator.add, (w * logits[:, target] for target, w in weights.items()))
        each = {
            f"probability of {name}": shares[:, target].numpy().tolist()
            for name, target in zip(names, targets)
        }
        return {"score": score.numpy().tolist(), **each}

    start = configured_start(config, classifier)
    check_size(config, classifier, start.shape)

    def frames(resume: Frame | None) -> Iterator[Frame]:
        return configured_ascent(config, classifier, objective, start, resume)

    parts = zip(names, weights.values())
    title = " + ".join(name if w == 1 else f"{w:g} {name}" for name, w in parts)
    record = {"target": weights, "class": names}
    name = f"mix_{joined(targets)}"
    return Task(name, [title], _classes(targets), frames, config.iterations, rate, record)


def _class_rating(targets: list[int], classifier: Classifier) -> Rating:
    """A function that gives the scores and the probabilities of the classes of images."""

    activation = activation_of(classifier.network)

    def rate(images: paddle.Tensor) -> dict[str, list[float]]:
        logits = _rated_logits(classifier, images)
        chosen = resolve_targets(targets, logits)
        return {
            "score": class_scores(logits, chosen).numpy().tolist(),
            "probability": class_scores(logits, chosen, "probability", activation).numpy().tolist(),
        }

    return rate


def _rated_logits(classifier: Classifier, images: paddle.Tensor) -> paddle.Tensor:
    """The logits of images. Raises `ModelError` if they are not finite.

    Those of the first images were checked before. So what is not finite comes from the ascent.
    """
    logits = logits_of(classifier.network(images))
    if not bool(paddle.isfinite(logits).all()):
        raise ModelError(
            "the scores of some classes are not finite numbers any more; "
            "lower learning_rate, lambda or init_std"
        )
    return logits


def _distinct(names: list[str], targets: list[int]) -> list[str]:
    """The names of classes, with the index where several classes have the same name."""
    return [
        f"{name} ({target})" if names.count(name) > 1 else name
        for name, target in zip(names, targets)
    ]


def _weights(asked: dict, classifier: Classifier) -> dict[int, float]:
    weights: dict[int, float] = {}
    for name, weight in asked.items():
        target = _class_of(name, classifier)
        if type(weight) not in (int, float) or not math.isfinite(weight):
            raise ConfigError(f"the weight of {name} in target must be a number, not {weight!r}")
        if target in weights:
            raise ConfigError(f"target names {classifier.class_name(target)} twice")
        weights[target] = weight
    return weights


def _class_of(target: str | int, classifier: Classifier) -> int:
    index = parse_target(target, classifier.labels)
    if index is None:
        raise ConfigError("target must be a class index or a class name")
    return index


def _classes(targets: list[int]) -> str:
    return f"{'class' if len(targets) == 1 else 'classes'} {joined(targets, ', ', ' to ')}"
