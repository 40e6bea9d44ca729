"""How a picture becomes the image that a network sees, and how maps come back into the picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import paddle
from paddle.nn import functional
from PIL import Image

from ..core.checks import look_up
from ..core.errors import ImageError
from ..core.images import Photograph, as_rgb, centre_square, resized, to_tensor

CROP, RESIZE, PAD, FULL = PREPROCESS = ("crop", "resize", "pad", "full")
LONGEST = 1024  # pixels of the longer side of `full`, unless a resolution is given
SHOWN = 448  # pixels of the longer side of a whole picture in a figure
ROUNDING = 1e-6


class Geometry(NamedTuple):
    """Where a picture lies in the image that the network sees.

    `picture` and `image` are their sizes, `(width, height)`. The part `box` of the picture, `(left,
    top, right, bottom)`, fills the part `place` of the image. Around `place` the image is padded.
    """

    picture: tuple[int, int]
    box: tuple[float, float, float, float]
    image: tuple[int, int]
    place: tuple[int, int, int, int]

    @property
    def inner(self) -> tuple[int, int]:
        """The width and height of `place`."""
        left, top, right, bottom = self.place
        return right - left, bottom - top

    @property
    def margins(self) -> tuple[int, int, int, int]:
        """The padding at the left, right, top and bottom."""
        left, top, right, bottom = self.place
        return left, self.image[0] - right, top, self.image[1] - bottom

    def in_size(self, size: tuple[int, int]) -> Geometry:
        """The same for a copy of the picture with another size."""
        factors = np.tile(np.divide(size, self.picture), 2).tolist()
        left, top, right, bottom = (side * factor for side, factor in zip(self.box, factors))
        return self._replace(picture=size, box=(left, top, right, bottom))

    def restored(self, maps: np.ndarray) -> np.ndarray:
        """Maps of the image, `[C, h, w]`, in the pixels of the picture, `[C, H, W]`.

        They are resampled bilinearly, between the centres of pixels. A map that becomes smaller is
        averaged. A pixel that the network has not seen as a whole is 0.
        """
        left, top, right, bottom = self.place
        seen = np.asarray(maps, dtype="float32")[:, top:bottom, left:right].transpose(1, 2, 0)
        x0, y0 = (math.ceil(side - ROUNDING) for side in self.box[:2])
        x1, y1 = (math.floor(side + ROUNDING) for side in self.box[2:])
        found = np.zeros((len(maps), *self.picture[::-1]), "float32")
        if x0 < x1 and y0 < y1:
            corners = np.array([x0, y0, x1, y1], dtype="float64") - np.tile(self.box[:2], 2)
            factors = np.divide(self.inner, np.subtract(self.box[2:], self.box[:2]))
            part = np.clip(corners * np.tile(factors, 2), 0, np.tile(self.inner, 2))
            put = resized(seen, (x1 - x0, y1 - y0), "bilinear", tuple(part.tolist()))
            found[:, y0:y1, x0:x1] = np.asarray(put).transpose(2, 0, 1)
        return found


class View(NamedTuple):
    """A picture as a network sees it: its pixels without padding, and where they come from.

    `picture` is the whole picture for a figure, `[H, W, 3]` uint8. It is None for a crop, whose
    figure shows what the network sees.
    """

    pixels: Photograph
    geometry: Geometry
    picture: np.ndarray | None

    def shown(self, maps: np.ndarray, picture: np.ndarray) -> np.ndarray:
        """Maps of the image, `[C, h, w]`, at the size of `picture`. Those of a crop stay as is."""
        if self.picture is None:
            return maps
        height, width = picture.shape[:2]
        return self.geometry.in_size((width, height)).restored(maps)

    def raw(self, maps: np.ndarray) -> np.ndarray:
        """Maps of the image in the pixels of the picture file. Those of a crop stay as is."""
        return maps if self.picture is None else self.geometry.restored(maps)


def geometry_of(
    preprocess: str, size: tuple[int, int], side: int, resize: int, longest: int | None = None
) -> Geometry:
    """Where a picture of `size` lies in the image of a network whose input is `side` × `side`.

    `preprocess` is one of these:

    - crop: the short side becomes `resize`, and the square in the centre is seen;
    - resize: the whole picture is squeezed or stretched to the square;
    - pad: the longer side becomes `side`, and the picture lies in the middle of the square;
    - full: the picture keeps its shape. Its longer side becomes `longest`, by default its own, but
      at most 1024.

    Raises `ConfigError` for another name.
    """
    look_up("preprocess", preprocess, dict.fromkeys(PREPROCESS))
    whole, square = (0.0, 0.0, float(size[0]), float(size[1])), (side, side)
    if preprocess == CROP:
        return Geometry(size, centre_square(size, side, resize), square, (0, 0, *square))
    if preprocess == RESIZE:
        return Geometry(size, whole, square, (0, 0, *square))
    longer = side if preprocess == PAD else longest or min(max(size), LONGEST)
    width, height = (max(1, round(length * longer / max(size))) for length in size)
    if preprocess == FULL:
        return Geometry(size, whole, (width, height), (0, 0, width, height))
    left, top = (side - width) // 2, (side - height) // 2
    return Geometry(size, whole, square, (left, top, left + width, top + height))


def view_of(picture: Photograph, geometry: Geometry, resample: str, whole: bool) -> View:
    """What the network sees of a picture. With `whole` it comes with the picture for a figure."""
    pixels = resized(picture, geometry.inner, resample, geometry.box)
    if not whole:
        return View(pixels, geometry, None)
    shown = as_rgb(picture)
    shown.thumbnail((SHOWN, SHOWN), Image.Resampling.LANCZOS)
    return View(pixels, geometry, np.asarray(shown))


def to_images(views: Sequence[View], mean: Sequence[float], std: Sequence[float]) -> paddle.Tensor:
    """The normalised images `[N, C, H, W]` of views. Padding is 0, which is the mean colour.

    Raises `ImageError` for views of several sizes.
    """
    if len({view.geometry.image for view in views}) > 1:
        raise ImageError(
            "pictures of several sizes do not fit into one batch; prepare them one by one, or use "
            "another preprocess than full"
        )
    images = [to_tensor([view.pixels], mean, std) for view in views]
    padded = [
        functional.pad(image, list(view.geometry.margins)) if any(view.geometry.margins) else image
        for image, view in zip(images, views)
    ]
    return paddle.concat(padded) if len(padded) > 1 else padded[0]
