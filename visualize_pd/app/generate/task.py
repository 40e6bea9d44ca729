"""A task: one ascent, with the names and the scores of its images."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import paddle
from PIL import Image

from ...core.errors import ConfigError
from ...core.fingerprint import Fingerprint
from ...core.images import load_image
from ...models.classifier import Classifier
from ...network.batching import check_memory, check_not_too_small, images_per_pass
from ...synthesis.ascent import Frame, ascend_together
from ...synthesis.builder import GREY, NOISE, configured_ascent, configured_start, smallest_view
from ...synthesis.objectives import Objective
from ..config.schema import GenerateConfig

Frames = Callable[["Frame | None"], Iterator[Frame]]
Rating = Callable[[paddle.Tensor], dict[str, list[float]]]

MOST_IMAGES = 256


class Choice(NamedTuple):
    """The numbers of the images that a judge keeps, their names, and what it says of each image."""

    kept: list[int]
    titles: list[str]
    record: dict[str, Any]


class Task(NamedTuple):
    """An ascent of `last` steps.

    `frames` begins at the start, or continues from the frame that it is given. `name` is the name
    of the folder. `titles` are the names of the images, and `subject` says what they show. `record`
    is written to `run.json`. `rate` gives the scores of the images without random transforms.
    `choose` keeps some of the final pictures `[N, H, W, 3]`; without it all are kept. `inputs` is
    the fingerprint of what the task has loaded: a judge, or a score that is a function.
    """

    name: str
    titles: list[str]
    subject: str
    frames: Frames
    last: int
    rate: Rating
    record: dict[str, Any]
    choose: Callable[[np.ndarray], Choice] | None = None
    inputs: Fingerprint = {}  # noqa: RUF012


def images_in_batches(
    config: GenerateConfig,
    classifier: Classifier,
    key: str,
    numbers: list[int],
    objective_of: Callable[[list[int]], Objective],
    rating_of: Callable[[list[int]], Rating],
    copies: int = 1,
) -> tuple[Frames, Rating]:
    """An image for each class or channel. They are made in batches, frame by frame.

    `copies` images of each begin with different noise. They are in the same batch.
    """
    count = len(numbers) * copies
    if not 1 <= count <= MOST_IMAGES:
        raise ConfigError(
            f"{key} asks for {count} images; one run makes 1 to {MOST_IMAGES} of them"
        )
    starts = [configured_start(config, classifier, number) for number in range(copies)]
    check_size(config, classifier, [copies, *starts[0].shape[1:]])
    size = _groups_per_pass(classifier, starts) * copies if count > 1 else 1
    every = [number for number in numbers for _ in range(copies)]
    parts = [every[first : first + size] for first in range(0, count, size)]

    def frames(resume: Frame | None) -> Iterator[Frame]:
        ascents = [
            partial(
                configured_ascent,
                config,
                classifier,
                objective_of(part),
                paddle.concat(starts * (len(part) // copies)),
                groups=part,
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


def check_size(config: GenerateConfig, classifier: Classifier, shape: Sequence[int]) -> None:
    """Raise `ImageError` if images of `shape` need too much memory, or a view is too small."""
    check_memory(classifier.network, shape)
    smallest = smallest_view(config, classifier)
    if min(smallest) < classifier.image_size:
        check_not_too_small(classifier.network, paddle.zeros([1, shape[1], *smallest]))


def _groups_per_pass(classifier: Classifier, starts: Sequence[paddle.Tensor]) -> int:
    """How many groups of copies fit into one pass, at least one."""
    return max(1, images_per_pass(classifier.network, starts[0]) // len(starts))


def photograph_of(config: GenerateConfig) -> Image.Image:
    """The picture that `init` names. Raises `ConfigError` if it names none."""
    if config.init in (NOISE, *GREY):
        raise ConfigError(f"objective {config.objective} needs a picture: init=photo.jpg")
    return load_image(config.init)


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
