"""A network with its input settings and its class names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import paddle
from PIL import Image

from ..core import images
from ..core.errors import ModelError, VisualizeError
from .class_names import short_name
from .preprocess import CROP, FULL, Geometry, View, geometry_of, to_images, view_of


@dataclass
class Classifier:
    """A frozen network in evaluation mode, with its input settings and its class names.

    `preprocess` is one of `geometry_of`. `resolution` is the size at which the network runs, if it
    is another one than that for which it was made.
    """

    network: paddle.nn.Layer
    name: str
    title: str
    image_size: int = 224
    mean: Sequence[float] = images.IMAGENET_MEAN
    std: Sequence[float] = images.IMAGENET_STD
    labels: list[str] | None = field(default=None, repr=False)
    resize: int = 256
    resample: str = "bilinear"
    preprocess: str = CROP
    resolution: int | None = None

    @property
    def channels(self) -> int:
        """The number of channels of the images that the network sees."""
        return len(self.mean)

    def load(self, path: str | Path) -> tuple[images.Photograph, str]:
        """Open a picture with the channels that the network sees, and make a digest of its file."""
        return images.load_photograph(path, self.channels)

    def crop(self, picture: images.Photograph) -> images.Photograph:
        """Resize a picture and cut out the square in the centre."""
        return images.crop(picture, self.image_size, self.resize, self.resample)

    def geometry(self, size: tuple[int, int]) -> Geometry:
        """Where a picture of `size`, `(width, height)`, lies in the image that the network sees."""
        return geometry_of(self.preprocess, size, self.image_size, self.resize, self.resolution)

    def view(self, picture: images.Photograph) -> View:
        """What the network sees of a picture."""
        geometry = self.geometry(images.size_of(picture))
        return view_of(picture, geometry, self.resample, whole=self.preprocess != CROP)

    def images_of(self, views: Sequence[View]) -> paddle.Tensor:
        """The normalised images of views of one size: `[N, C, H, W]`."""
        return to_images(views, self.mean, self.std)

    def prepare(self, pictures: Sequence[images.Photograph]) -> paddle.Tensor:
        """Preprocess and normalise pictures: `[N, C, H, W]`.

        H and W are `image_size`. Only with `full` they are those of the picture. Raises
        `ImageError` if pictures then have several sizes.
        """
        return self.images_of([self.view(picture) for picture in pictures])

    def seen_mask(self, mask: Image.Image) -> np.ndarray:
        """A mask of a picture, 8-bit grey, as the network sees the picture: `[H, W]` bools."""
        geometry = self.geometry(mask.size)
        left, top, right, bottom = geometry.place
        seen = np.zeros(geometry.image[::-1], dtype=bool)
        part = images.resized(mask, geometry.inner, self.resample, geometry.box)
        seen[top:bottom, left:right] = np.asarray(part) > 127
        return seen

    def on_picture(self, maps: Any, size: tuple[int, int]) -> np.ndarray:
        """Maps of one image, `[1, C, h, w]` or `[C, h, w]`, in the pixels of its picture.

        `size` is the `(width, height)` of the picture. Returns `[C, H, W]`, resampled bilinearly,
        and 0 where the network has not seen the picture.
        """
        values = np.asarray(maps)
        return self.geometry(size).restored(values.reshape(values.shape[-3:]))

    def to_pixels(self, batch: paddle.Tensor) -> np.ndarray:
        """The pixels of normalised images `[N, C, H, W]`: `[N, H, W, 3]` uint8."""
        return images.to_pixels(batch, self.mean, self.std)

    def class_name(self, index: int) -> str:
        """The name of a class, or "class 7" if its name is not known."""
        if self.labels and index < len(self.labels):
            return short_name(self.labels[index])
        return f"class {index}"


@contextmanager
def network_errors(classifier: Classifier, size: tuple[int, int] | None = None) -> Iterator[None]:
    """Turn any error in the forward or backward pass of a network into one sentence.

    `size` is the width and height of the images, by default those that the network expects.
    """
    width, height = size or (classifier.image_size, classifier.image_size)
    try:
        yield
    except VisualizeError:
        raise
    except Exception as error:  # the network may be the user's own code
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        reason = next((line for line in lines if "Error:" in line), lines[-1] if lines else "")
        raise ModelError(
            f"{classifier.title} failed on images of {width}×{height}: "
            f"{type(error).__name__}: {reason}{_other_size(classifier)}"
        ) from error


def _other_size(classifier: Classifier) -> str:
    """What the user can do if the network does not take images of this size."""
    if classifier.preprocess == FULL:
        return "; if it needs another size, set model.preprocess to crop, resize or pad"
    if classifier.resolution:
        return "; if it needs another size, leave out model.resolution"
    return ""
