"""The pictures of a run as images, one by one."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path

import paddle

from ...core.errors import ImageError
from ...core.images import Photograph, size_of
from ...models.classifier import Classifier
from ..evaluate.pictures import Say

SCALE = 2  # the side of an image, over that of the network's input, so that crops are sharp
SMALLEST = 8  # pixels of the picture file in the side of a crop


class LazyImages(Sequence):
    """Pictures as images `[1, C, H, W]` with `SCALE` times the side of the network's input.

    Each is read when it is asked for.
    """

    def __init__(self, paths: Sequence[Path], classifier: Classifier):
        self.paths = paths
        self.size = classifier.resolution or classifier.image_size
        self.large = dataclasses.replace(
            classifier,
            image_size=SCALE * classifier.image_size,
            resize=SCALE * classifier.resize,
            resolution=classifier.resolution and SCALE * classifier.resolution,
        )

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, number: int) -> paddle.Tensor:  # type: ignore[override]
        picture, _ = self.large.load(self.paths[number])
        return self.large.prepare([picture])


def large_enough(
    pictures: Iterable[tuple[Path, Photograph]], classifier: Classifier, crop: float, complain: Say
) -> list[Path]:
    """The paths of the pictures whose crops are large enough. The others are reported.

    Raises `ImageError` if no picture is left.
    """
    share = crop * classifier.image_size / classifier.resize
    found = []
    for path, picture in pictures:
        side = share * min(size_of(picture))
        if side < SMALLEST:
            complain(
                f"skipped: {path} is too small: its crops would be {side:.0f} pixels wide; "
                "take a larger picture, or a larger crop"
            )
        else:
            found.append(path)
    if not found:
        raise ImageError("no image could be used")
    return found


def box_in_picture(path: Path, classifier: Classifier, share: Sequence[float]) -> list[int]:
    """A box in an image as a box in the pixels of its picture file.

    `share`: left, top, right and bottom as shares of the image's side.
    """
    picture, _ = classifier.load(path)
    left, top, right, bottom = classifier.geometry(size_of(picture)).box
    width, height = right - left, bottom - top
    return [
        round(left + share[0] * width),
        round(top + share[1] * height),
        round(left + share[2] * width),
        round(top + share[3] * height),
    ]
