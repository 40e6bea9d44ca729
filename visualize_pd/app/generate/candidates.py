"""Candidates: several images of a class, of which another network keeps the best."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import paddle
from PIL import Image

from ...core.config import as_dict, build
from ...core.errors import ConfigError
from ...core.images import to_tensor
from ...models.classifier import Classifier, network_errors
from ...models.config import ModelConfig
from ...models.loading import load_model
from ...network.scores import class_scores, logits_of, resolve_targets
from ..config.schema import GenerateConfig
from .task import Choice


def chooser(
    config: GenerateConfig, maker: Classifier, targets: Sequence[int]
) -> Callable[[np.ndarray], Choice]:
    """A function that keeps the picture of each class that the judge is most sure of.

    It gets pictures `[N, H, W, 3]`: `candidates` of the first class, then those of the next one.
    """
    judge = load_model(**as_dict(build(ModelConfig, config.judge, "judge")))
    if judge.title == maker.title:
        raise ConfigError(
            f"the judge, {judge.title}, is the network that makes the images; choose another judge"
        )
    count = config.candidates
    every = [target for target in targets for _ in range(count)]
    names = [maker.class_name(target) for target in targets]

    def choose(pictures: np.ndarray) -> Choice:
        sure = np.array(
            [probability(judge, picture, target) for picture, target in zip(pictures, every)]
        )
        best = sure.reshape(-1, count).argmax(axis=1)
        kept = [number * count + int(place) for number, place in enumerate(best)]
        record = {"judge": judge.title, "judge_probability": sure.tolist(), "kept": kept}
        return Choice(kept, names, record)

    return choose


def probability(judge: Classifier, picture: np.ndarray, target: int) -> float:
    """The probability of a class for a picture `[H, W, 3]`, as the judge sees it."""
    side = (judge.image_size, judge.image_size)
    seen = Image.fromarray(picture).resize(side, Image.Resampling.BICUBIC)
    images = to_tensor([seen], judge.mean, judge.std)
    with network_errors(judge), paddle.no_grad():
        logits = logits_of(judge.network(images))
        chosen = resolve_targets(target, logits)
        return float(class_scores(logits, chosen, "probability")[0])
