"""Transfer: do networks recognise class images that were made for another network?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import paddle
from PIL import Image
from tqdm import tqdm

from ..core.checks import check_count
from ..core.config import as_dict
from ..core.errors import ConfigError
from ..core.images import to_tensor
from ..models.classifier import Classifier, network_errors
from ..models.loading import load_model
from ..network.scores import logits_of
from ..synthesis.builder import configured_ascent, configured_start
from ..synthesis.objectives import class_score
from ..synthesis.settings import AscentSettings

# Very different classes: birds, fish, reptile, insect, mammals, buildings, vehicles, tools, food,
# places.
CLASSES = (
    *(1, 9, 24, 76, 107, 130, 207, 291, 323, 340),
    *(388, 407, 497, 504, 604, 776, 817, 879, 950, 963),
)
JUDGES = ("efficientnet_lite1", "efficientnet_lite2")


class Named(NamedTuple):
    """A class image's class, the rank that each judge gives this class, and the final picture.

    Rank 0 is the first: the judge predicts this class.
    """

    target: int
    ranks: dict[str, int]
    picture: np.ndarray


def transfer(
    config: AscentSettings,
    classes: Sequence[int] = CLASSES,
    judges: Sequence[Classifier] = (),
    batch_size: int = 4,
) -> list[Named]:
    """Make an image of each class by a config, and let other networks, the `judges`, rank it.

    What only one network sees in an image does not transfer to others. `batch_size` images are made
    at once. Each is the same as if it was made alone. Raises `ConfigError` if the objective is not
    class_image, or if a judge does not have a class.
    """
    check_count("batch_size", batch_size)
    if config.objective != "class_image":
        raise ConfigError(f"transfer measures class images, not objective {config.objective}")
    maker = load_model(**as_dict(config.model))
    start = configured_start(config, maker)
    pictures: list[np.ndarray] = []
    with tqdm(total=len(classes) * config.iterations, unit="it", disable=None) as progress:
        for first in range(0, len(classes), batch_size):
            part = list(classes[first : first + batch_size])
            with network_errors(maker):
                many = paddle.concat([start] * len(part))
                for frame in configured_ascent(config, maker, class_score(part), many):
                    progress.update(len(part) if frame.iteration else 0)
            pictures.extend(maker.to_pixels(frame.image))
    ranks = {judge.name: _ranks(judge, pictures, classes) for judge in judges}
    return [
        Named(target, {name: found[n] for name, found in ranks.items()}, picture)
        for n, (target, picture) in enumerate(zip(classes, pictures))
    ]


def _ranks(judge: Classifier, pictures: Sequence[np.ndarray], classes: Sequence[int]) -> list[int]:
    side = (judge.image_size, judge.image_size)
    resized = [Image.fromarray(p).resize(side, Image.Resampling.BICUBIC) for p in pictures]
    found = []
    for picture, target in zip(resized, classes):
        images = to_tensor([picture], judge.mean, judge.std)
        with network_errors(judge), paddle.no_grad():
            logits = logits_of(judge.network(images)).numpy()[0]
        if target >= len(logits):
            raise ConfigError(f"{judge.title} has no class {target}, so it cannot judge its image")
        found.append(int((logits > logits[target]).sum()))
    return found


def shares(named: Sequence[Named], judge: str) -> tuple[float, float]:
    """The share of images whose class a judge ranks first, and the share among the first five."""
    ranks = [each.ranks[judge] for each in named]
    return float(np.mean([rank == 0 for rank in ranks])), float(
        np.mean([rank < 5 for rank in ranks])
    )
