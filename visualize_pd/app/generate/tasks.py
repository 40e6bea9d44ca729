"""The table of objectives: the task of each objective, and the keys that it reads."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from ...core.checks import look_up
from ...core.errors import ConfigError
from ...models.classifier import Classifier
from ...synthesis.settings import AscentSettings
from ..config.schema import GenerateConfig
from .class_images import accentuated_image, class_images
from .layer_images import dream_image, filter_images, inversion_image
from .task import Task


class ObjectiveEntry(NamedTuple):
    """One objective: the function that makes its task, the keys that it reads, and its config.

    The task is None for a drawing without an ascent.
    """

    task: Callable[[GenerateConfig, Classifier], Task] | None
    reads: str
    config: str


STEPS = "iterations learning_rate cooling seed priors"
IMAGE = f"{STEPS} lambda parametrisation fourier growth size init init_std transparency"
CLASSES = "target score reference diversity candidates judge"
PICTURE = "init parametrisation fourier"
ACCENTUATION = f"{PICTURE} target layer nearness size growth transparency"
OBJECTIVES = {
    "class_image": ObjectiveEntry(class_images, f"{IMAGE} {CLASSES}", "class_image.yaml"),
    "accentuation": ObjectiveEntry(
        accentuated_image, f"{STEPS} {ACCENTUATION}", "accentuation.yaml"
    ),
    "filter": ObjectiveEntry(filter_images, f"{IMAGE} layer channel position", "filter.yaml"),
    "deep_dream": ObjectiveEntry(
        dream_image, f"{STEPS} {PICTURE} layer octaves octave_scale", "deep_dream.yaml"
    ),
    "inversion": ObjectiveEntry(
        inversion_image, f"{STEPS} {PICTURE} growth layer", "inversion.yaml"
    ),
    "weights": ObjectiveEntry(None, "layer", "first_layer.yaml"),
}


def find_objective(config: GenerateConfig) -> ObjectiveEntry:
    """The objective of a config.

    Raises `ConfigError` for an unknown objective, and if the config sets a key that the objective
    does not read.
    """
    entry = look_up("objective", config.objective, OBJECTIVES)
    unread = sorted(set(_changed(config)) - {"objective", "model", *entry.reads.split()})
    if unread:
        raise ConfigError(
            f"objective {config.objective} does not read {', '.join(unread)}; leave that out, or "
            f"begin with --config configs/{entry.config}"
        )
    return entry


def _changed(config: GenerateConfig) -> Iterator[str]:
    """The names in YAML of those keys of the ascent whose values are not the defaults."""
    default: Any = AscentSettings()
    for field in dataclasses.fields(AscentSettings):
        if getattr(config, field.name) != getattr(default, field.name):
            yield field.metadata["name"] or field.name
