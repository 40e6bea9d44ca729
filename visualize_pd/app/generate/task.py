"""A task: one ascent, with the names and the scores of its images."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import paddle

from ...core.errors import ConfigError
from ...models.classifier import Classifier
from ...network.batching import check_memory, images_per_pass
from ...synthesis.ascent import Frame, ascend_together
from ...synthesis.builder import configured_ascent, configured_start
from ...synthesis.objectives import Objective
from ..config.schema import GenerateConfig

Frames = Callable[["Frame | None"], Iterator[Frame]]
Rating = Callable[[paddle.Tensor], dict[str, list[float]]]

MOST_IMAGES = 256


class Task(NamedTuple):
    """An ascent of `last` steps.

    `frames` begins at the start, or continues from the frame that it is given. `name` is the name
    of the folder. `titles` are the names of the images, and `subject` says what they show. `record`
    is written to `run.json`. `rate` gives the scores of the images without random transforms.
    """

    name: str
    titles: list[str]
    subject: str
    frames: Frames
    last: int
    rate: Rating
    record: dict[str, Any]


def images_in_batches(
    config: GenerateConfig,
    classifier: Classifier,
    key: str,
    numbers: list[int],
    objective_of: Callable[[list[int]], Objective],
    rating_of: Callable[[list[int]], Rating],
) -> tuple[Frames, Rating]:
    """An image for each class or channel. They are made in batches, frame by frame."""
    if not 1 <= len(numbers) <= MOST_IMAGES:
        raise ConfigError(
            f"{key} asks for {len(numbers)} images; one run makes 1 to {MOST_IMAGES} of them"
        )
    start = configured_start(config, classifier)
    check_memory(classifier.network, start.shape)
    size = images_per_pass(classifier.network, start) if len(numbers) > 1 else 1
    parts = [numbers[first : first + size] for first in range(0, len(numbers), size)]

    def frames(resume: Frame | None) -> Iterator[Frame]:
        ascents = [
            partial(
                configured_ascent,
                config,
                classifier,
                objective_of(part),
                paddle.concat([start] * len(part)),
            )
            for part in parts
        ]
        return ascend_together(ascents, resume)

    def rate(images: paddle.Tensor) -> dict[str, list[float]]:
        each = [
            rating_of(part)(images[size * n : size * n + len(part)]) for n, part in enumerate(parts)
        ]
        return {name: [value for scores in each for value in scores[name]] for name in each[0]}

    return frames, rate


def score_rating(objective: Objective, classifier: Classifier) -> Rating:
    """A function that gives the scores of images, without the random transforms of a step."""

    def rate(images: paddle.Tensor) -> dict[str, list[float]]:
        return {"score": objective(classifier.network, images).numpy().tolist()}

    return rate


def joined(numbers: Sequence[int], between: str = "_", span: str = "-") -> str:
    """Join numbers to a text for a file name or a sentence."""
    numbers = list(numbers)
    if len(numbers) > 2 and numbers == list(range(numbers[0], numbers[-1] + 1)):
        return f"{numbers[0]}{span}{numbers[-1]}"
    text = between.join(map(str, numbers))
    if len(text) <= 80:
        return text
    text = f"{numbers[0]} and {len(numbers) - 1} more"
    return text if " " in between else text.replace(" ", between)
