"""The sheet of a run: for each concept its image, its best crops and its maps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from ...attribution.concepts.craft import Concepts
from ...attribution.concepts.crops import Crop, Singles
from ...models.classifier import Classifier
from .. import drawing
from .pictures import LazyImages


class Shown(NamedTuple):
    """What the sheet shows of one concept: pictures `[H, W, 3]` uint8 with their titles."""

    importance: float
    image: np.ndarray | None
    crops: list[tuple[str, np.ndarray]]
    maps: list[tuple[str, np.ndarray]]
    best: list[Crop]


def shown_concepts(
    classifier: Classifier,
    found: Concepts,
    images: LazyImages,
    others: LazyImages,
    pictures: np.ndarray | None,
    count: int,
) -> list[Shown]:
    """The best crops of each concept, and its maps on the first of the `others`, `count` of each.

    `pictures` are the images of the concepts.
    """
    singles, on = Singles(images, images.size), Singles(others, others.size)
    side = (images.size, images.size)
    maps, grounds = [], []
    for number in range(min(count, len(others))):
        maps.append(found.maps(on.whole(number)).numpy()[0])
        grounds.append(_sized(classifier.to_pixels(on[number])[0], side))
    shown = []
    for concept in range(len(found.factors)):
        best = found.best_crops(concept, count)
        crops = [
            (images.paths[crop.image].name, classifier.to_pixels(singles.part(crop))[0])
            for crop in best
        ]
        own = [each[concept] for each in maps]
        spread = drawing.spread_of(own)
        over = [
            (path.name, drawing.heat_over(ground, values, spread=spread, alpha=0.55))
            for path, ground, values in zip(others.paths, grounds, own)
        ]
        image = None if pictures is None else _sized(pictures[concept], side)
        shown.append(Shown(float(found.importance[concept]), image, crops, over, best))
    return shown


def draw_sheet(shown: Sequence[Shown], caption: str, note: str) -> Image.Image:
    """A row for each concept: its image, its maps and its best crops."""
    rows: list[drawing.Row] = []
    for number, each in enumerate(shown, 1):
        image = [] if each.image is None else [("its image", each.image)]
        label = f"concept {number}: importance {each.importance:.1%}"
        crops = [(f"in {name}", pixels) for name, pixels in each.crops]
        rows.append((label, [*image, *crops, *each.maps]))
    columns = max(len(panels) for _, panels in rows)
    return drawing.figure(rows, caption, note, scale=1, smooth=columns)


def save_parts(folder: Path, shown: Sequence[Shown]) -> list[dict[str, Path]]:
    """Write the image, the crops and the maps of each concept as files for the page."""
    saved = []
    for number, each in enumerate(shown, 1):
        parts = {"crops": each.crops, "maps": each.maps}
        files = {}
        if each.image is not None:
            files["image"] = folder / f"concept_{number}_image.png"
            drawing.save_picture(files["image"], each.image)
        for part, panels in parts.items():
            files[part] = folder / f"concept_{number}_{part}.jpg"
            pixels = np.stack([pixels for _, pixels in panels])
            drawing.save_picture(files[part], drawing.tile(pixels, len(pixels)))
        saved.append(files)
    return saved


def _sized(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))
