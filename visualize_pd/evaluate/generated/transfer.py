"""Transfer: do networks recognise class images that were made for another network?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from typing import NamedTuple

import numpy as np
import paddle
from PIL import Image
from tqdm import tqdm

from ...core.checks import check_count, look_up
from ...core.config import as_dict
from ...core.errors import ConfigError, errors_of
from ...core.images import to_tensor
from ...models.classifier import Classifier, network_errors
from ...models.loading import load_model
from ...network.batching import check_memory
from ...network.fast import fast_layers
from ...network.hooks import frozen
from ...network.outputs import activation_of
from ...network.scores import (
    SCORES,
    check_distinct,
    check_finite,
    logits_of,
    probabilities,
)
from ...synthesis.ascent import Frame
from ...synthesis.builder import configured_ascent, configured_start
from ...synthesis.objectives import class_score
from ...synthesis.priors.statistics import Statistics, normalisations
from ...synthesis.settings import AscentSettings

# Very different classes: birds, fish, reptile, insect, mammals, buildings, vehicles, tools, food,
# places.
CLASSES = (
    *(1, 9, 24, 76, 107, 130, 207, 291, 323, 340),
    *(388, 407, 497, 504, 604, 776, 817, 879, 950, 963),
)
# As different as those. They were named before any picture of them was made, and no setting was
# chosen by them, except the learning rate of the default by red fox and cheeseburger. loggerhead,
# scorpion, peacock, killer whale, red fox, ladybug, dromedary, African elephant, lighthouse,
# fire engine, mosque, schooner, screwdriver, teapot, warplane, cheeseburger, strawberry, volcano,
# daisy, acorn.
FRESH_CLASSES = (
    *(33, 71, 84, 148, 277, 301, 354, 386, 437, 555),
    *(668, 780, 784, 849, 895, 933, 949, 980, 985, 988),
)
JUDGES = ("efficientnet_lite1", "efficientnet_lite2")
BATCH_SIZE = 4


class Named(NamedTuple):
    """A class image's class, what each judge says of it, by the judge's name, and the picture.

    Rank 0 is the first: the judge predicts this class. The probability is that of this class. The
    distance is that of the picture's statistics (`statistics_distances`). Judges without
    normalisation layers have none.
    """

    target: int
    ranks: dict[str, int]
    picture: np.ndarray
    probabilities: dict[str, float]
    distances: dict[str, float]


def transfer(
    config: AscentSettings,
    classes: Sequence[int] = CLASSES,
    judges: Sequence[Classifier] = (),
    batch_size: int = BATCH_SIZE,
) -> list[Named]:
    """Make an image of each class by a config, and let other networks, the `judges`, rank it.

    What only one network sees in an image does not transfer to others. `batch_size` images are made
    at once. Each is the same as if it was made alone. Raises `ConfigError` if the objective is not
    class_image, or if a judge does not have a class.
    """
    maker = load_model(**as_dict(config.model))
    pictures = make_class_images(config, maker, classes, batch_size)
    return judge_pictures(judges, pictures, classes)


def make_class_images(
    config: AscentSettings,
    maker: Classifier,
    classes: Sequence[int],
    batch_size: int = BATCH_SIZE,
) -> list[np.ndarray]:
    """The final picture of each class, `[H, W, 3]` uint8, made by a config for the network `maker`.

    `batch_size` images are made at once. Raises `ConfigError` if the objective is not class_image.
    """
    check_count("batch_size", batch_size)
    pictures: list[np.ndarray] = []
    with tqdm(total=len(classes) * config.iterations, unit="it", disable=None) as progress:
        for first in range(0, len(classes), batch_size):
            part = list(classes[first : first + batch_size])
            with network_errors(maker):
                for frame in class_ascent(config, maker, part):
                    progress.update(len(part) if frame.iteration else 0)
            pictures.extend(maker.to_pixels(frame.image))
    return pictures


def class_ascent(
    config: AscentSettings, maker: Classifier, classes: Sequence[int]
) -> Iterator[Frame]:
    """The frames of an ascent to an image of each class, all made at once.

    No step is done before the first frame is asked for. But what the config has wrong is told at
    once: raises `ConfigError`, also if the objective is not class_image, and `ImageError` for
    images that need too much memory.
    """
    if config.objective != "class_image":
        raise ConfigError(f"transfer measures class images, not objective {config.objective}")
    look_up("score", config.score, SCORES)
    start = configured_start(config, maker)
    check_memory(maker.network, [len(classes), *start.shape[1:]])
    many = paddle.concat([start] * len(classes))
    return configured_ascent(config, maker, class_score(list(classes), str(config.score)), many)


def judge_pictures(
    judges: Sequence[Classifier], pictures: Sequence[np.ndarray], classes: Sequence[int]
) -> list[Named]:
    """What the judges say of pictures `[H, W, 3]` uint8 of these classes.

    Each picture is resized to the size of the judge. Raises `ConfigError` if a judge does not have
    a class, and `ModelError` for one whose scores are not finite or the same for all classes.
    """
    named = [Named(target, {}, picture, {}, {}) for target, picture in zip(classes, pictures)]
    for judge in judges:
        for each, seen in zip(named, _look(judge, pictures)):
            if not 0 <= each.target < len(seen.logits):
                raise ConfigError(
                    f"{judge.title} has no class {each.target}, so it cannot judge its image"
                )
            each.ranks[judge.name] = int((seen.logits > seen.logits[each.target]).sum())
            each.probabilities[judge.name] = float(seen.probabilities[each.target])
            if seen.distance is not None:
                each.distances[judge.name] = seen.distance
    return named


def statistics_distances(
    judges: Sequence[Classifier], pictures: Sequence[np.ndarray]
) -> list[dict[str, float]]:
    """How far each picture is from what a judge saw in training, by the judge's name.

    It is the divergence between the statistics of the inputs of the normalisation layers and those
    that the layers have kept from training, as in the statistics prior (after DeepInversion, Yin et
    al. 2020). It is the sum over the layers of the mean over the channels, all layers with the
    weight 1. `pictures`: `[H, W, 3]` uint8. Judges without such layers are left out.
    """
    found: list[dict[str, float]] = [{} for _ in pictures]
    for judge in judges:
        if normalisations(judge.network):
            for distances, seen in zip(found, _look(judge, pictures)):
                if seen.distance is not None:
                    distances[judge.name] = seen.distance
    return found


class _Seen(NamedTuple):
    """What a judge says of one picture. All its classes are in the two arrays, `[classes]`."""

    logits: np.ndarray
    probabilities: np.ndarray
    distance: float | None


def _look(judge: Classifier, pictures: Sequence[np.ndarray]) -> list[_Seen]:
    side = (judge.image_size, judge.image_size)
    statistics = Statistics(judge.network, 1.0) if normalisations(judge.network) else None
    seen = []
    for picture in pictures:
        resized = Image.fromarray(picture).resize(side, Image.Resampling.BICUBIC)
        images = to_tensor([resized], judge.mean, judge.std)
        with (
            network_errors(judge),
            frozen(judge.network),
            fast_layers(),
            statistics.watch() if statistics else nullcontext(),
        ):
            logits = logits_of(judge.network(images))
            with errors_of(judge.title):
                check_finite(logits)
                check_distinct(logits, images)
            distance = None
            if statistics and statistics.moments:
                distance = float(statistics.divergence().numpy()[0])
        shares_of_classes = probabilities(logits, activation_of(judge.network)).numpy()[0]
        seen.append(_Seen(logits.numpy()[0], shares_of_classes, distance))
    return seen


def shares(named: Sequence[Named], judge: str) -> tuple[float, float]:
    """The share of images whose class a judge ranks first, and the share among the first five."""
    ranks = [each.ranks[judge] for each in named]
    return float(np.mean([rank == 0 for rank in ranks])), float(
        np.mean([rank < 5 for rank in ranks])
    )


def mean_probability(named: Sequence[Named], judge: str) -> float:
    """The mean over the images of the probability that a judge gives to the right class."""
    return float(np.mean([each.probabilities[judge] for each in named]))
