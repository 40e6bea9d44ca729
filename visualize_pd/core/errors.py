"""Errors that the user can cause. Each message is one sentence: what is wrong, and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class VisualizeError(Exception):
    """Base of every error that the package raises on purpose."""


class ConfigError(VisualizeError):
    """A configuration that cannot be read or does not make sense."""


class DeviceError(VisualizeError):
    """A device that this machine or this Paddle does not have."""


class ImageError(VisualizeError):
    """A picture that is missing, damaged or unusable."""


class ModelError(VisualizeError):
    """A network that cannot be found, built or used."""


class OutputError(VisualizeError):
    """A result that cannot be written."""


class ScoreError(VisualizeError):
    """A score function that fails, or returns something else than a score for each image."""


class StoppedError(VisualizeError):
    """A computation that somebody has stopped."""


class TargetError(VisualizeError):
    """A class that the network does not have."""


class WeightsError(VisualizeError):
    """Weights that are missing, damaged, hostile or made for another network."""


class WeightsMissingError(WeightsError):
    """No weights were found, and none could be downloaded. A fallback network may be used."""


class PaddleMissingError(VisualizeError, ImportError):
    """PaddlePaddle is not installed."""


@contextmanager
def errors_of(what: str) -> Iterator[None]:
    """Put a name in front of the sentence of an error in the block."""
    try:
        yield
    except VisualizeError as error:
        raise type(error)(f"{what}: {error}") from error
