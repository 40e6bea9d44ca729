"""Do class images mean something to networks that had no part in making them?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import paddle
from PIL import Image
from tqdm import tqdm

from ..core.config import as_dict
from ..core.errors import ConfigError
from ..core.images import to_tensor
from ..models.classifier import Classifier, network_errors
from ..models.loading import load_model
from ..network.scores import logits_of
from ..synthesis.builder import configured_ascent, configured_start
from ..synthesis.objectives import class_score
from ..synthesis.settings import AscentSettings

# Kinds far apart: birds, fish, reptile, insect, mammals, buildings, vehicles, tools, food, places.
CLASSES = (
    *(1, 9, 24, 76, 107, 130, 207, 291, 323, 340),
    *(388, 407, 497, 504, 604, 776, 817, 879, 950, 963),
)


JUDGES = ("efficientnet_lite1", "efficientnet_lite2")


class Named(NamedTuple):
    """Where the judges rank a class image's own class, 0 for first, and its final picture."""

    target: int
    ranks: dict[str, int]
    picture: np.ndarray


def transfer(
    config: AscentSettings,
    classes: Sequence[int] = CLASSES,
    judges: Sequence[Classifier] = (),
    batch_size: int = 4,
) -> list[Named]:
    """Make each class's image by a config; let networks that had no part in it name the picture.

    What one network alone sees in an image does not carry over to others. `batch_size` images are
    made at once, each the same as alone.
    """
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
            raise ConfigError(f"{judge.title} has no class {target}; it cannot judge it")
        found.append(int((logits > logits[target]).sum()))
    return found


def shares(named: Sequence[Named], judge: str) -> tuple[float, float]:
    """How many of the images a judge names right at first guess, and among its first five."""
    ranks = [each.ranks[judge] for each in named]
    return float(np.mean([rank == 0 for rank in ranks])), float(
        np.mean([rank < 5 for rank in ranks])
    )
