"""A network with its input settings and its class names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import paddle
from PIL import Image

from ..core import images
from ..core.errors import ModelError, VisualizeError
from .class_names import short_name


@dataclass
class Classifier:
    """A frozen network in evaluation mode, with its input settings and its class names."""

    network: paddle.nn.Layer
    name: str
    title: str
    image_size: int = 224
    mean: Sequence[float] = images.IMAGENET_MEAN
    std: Sequence[float] = images.IMAGENET_STD
    labels: list[str] | None = field(default=None, repr=False)
    resize: int = 256
    resample: str = "bilinear"

    def crop(self, picture: Image.Image) -> Image.Image:
        """Resize a picture and cut out the square that the network sees."""
        return images.crop(picture, self.image_size, self.resize, self.resample)

    def prepare(self, pictures: Sequence[Image.Image]) -> paddle.Tensor:
        """Crop and normalise pictures of any size: `[N, C, image_size, image_size]`."""
        return images.to_tensor([self.crop(picture) for picture in pictures], self.mean, self.std)

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
            f"{type(error).__name__}: {reason}"
        ) from error
