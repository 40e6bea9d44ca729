"""Draw the captions and the final figure of a run, and the weights of the first layer."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ...models.classifier import Classifier
from ...network.layers.by_name import first_weights
from .. import drawing
from ..config.schema import GenerateConfig
from .task import Choice, Task


def columns_of(count: int) -> int:
    """The number of columns for `count` images."""
    return count if count <= 5 else math.ceil(math.sqrt(count))


def kept_scores(row: dict[str, Any], kept: list[int]) -> dict[str, Any]:
    """The scores of a frame, only those of the images that are kept."""
    return {
        key: [value[number] for number in kept] if isinstance(value, list) else value
        for key, value in row.items()
    }


def kept_sentence(choice: Choice) -> str:
    """What the judge keeps, and how sure it is of it."""
    sure = choice.record["judge_probability"]
    count = len(sure) // len(choice.kept)
    kept = (
        f"image {number % count + 1} of {count} of {title} ({sure[number]:.1%})"
        for number, title in zip(choice.kept, choice.titles)
    )
    return f"{choice.record['judge']} keeps {', '.join(kept)}"


def captions(task: Task, row: dict[str, Any], with_scores: bool) -> list[str]:
    """The text below each image in a frame of the animation. `row` holds the frame's scores."""
    titles = task.titles
    if not with_scores:
        return titles if len(titles) > 1 else [""]
    scores, shares = (np.atleast_1d(row.get(key, [])) for key in ("score", "probability"))
    numbers = [f"{score:.3g}" for score in scores]
    if len(shares):
        numbers = [f"{number}  ·  {share:.1%}" for number, share in zip(numbers, shares)]
    return [f"{title}  ·  {number}" for title, number in zip(titles, numbers)]


def final_figure(
    task: Task, classifier: Classifier, row: dict[str, Any], pictures: np.ndarray
) -> Image.Image:
    """The final images with their names and probabilities, the network and the objective."""
    shares = np.atleast_1d(row.get("probability", []))
    sure = [f" {share:.1%}" for share in shares] or [""] * len(pictures)
    cells = [
        (f"{title}{share}", pixels) for title, share, pixels in zip(task.titles, sure, pictures)
    ]
    columns = columns_of(len(cells))
    small = max(pictures[0].shape) <= 400
    scale = 3 if small and len(cells) == 1 else 2 if small and len(cells) < 4 else 1
    note = f"{task.subject}  ·  {row['iteration']} iterations"
    return drawing.figure(_lines(cells, columns), classifier.title, note, scale, smooth=columns)


def draw_first_layer(
    config: GenerateConfig, classifier: Classifier, output: Path
) -> tuple[str, Path]:
    """Draw the weights of the layer that sees the image. Return a line about them, and the file.

    Each filter is scaled by its own largest weight. A weight of zero is grey.
    """
    layer = None if config.layer is None else str(config.layer)
    name, weights = first_weights(classifier.network, len(classifier.mean), layer)
    values = weights.numpy().transpose(0, 2, 3, 1)
    largest = np.abs(values).max(axis=(1, 2, 3), keepdims=True)
    shares = 0.5 + values / np.where(largest > 0, 2 * largest, 1)
    pictures = np.round(shares * 255).astype("uint8")
    pictures = np.repeat(pictures, 3, axis=3) if pictures.shape[3] == 1 else pictures
    cells = [(str(channel), pixels) for channel, pixels in enumerate(pictures)]
    rows = _lines(cells, math.ceil(math.sqrt(len(cells))))
    note = f"weights of {name}, {len(cells)} filters of {values.shape[1]}x{values.shape[2]}"
    path = output / f"weights_{name}" / f"weights_{name}.png"
    drawing.save_picture(path, drawing.figure(rows, classifier.title, note, scale=1, smooth=0))
    return f"{note}, of {classifier.title}", path


def _lines(cells: list[tuple[str, np.ndarray]], columns: int) -> list[drawing.Row]:
    return [("", cells[first : first + columns]) for first in range(0, len(cells), columns)]
