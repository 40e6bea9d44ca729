"""Find the mask and the box of an object by its map. No boxes are needed for training."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import paddle
from PIL import Image

from ..core.checks import look_up
from ..core.errors import ConfigError, ImageError
from ..core.images import Photograph, as_rgb, resized, size_of, to_tensor
from ..models.classifier import Classifier
from ..models.preprocess import CROP
from ..synthesis.priors.pixel_steps import gaussian_blur


class Box(NamedTuple):
    """A box: the pixels with `x0 ≤ x < x1` and `y0 ≤ y < y1`."""

    x0: int
    y0: int
    x1: int
    y1: int


class Located(NamedTuple):
    """A found object: its mask `[H, W]` of bools, and the tight box of the mask."""

    mask: np.ndarray
    box: Box


def pointing_game(
    maps: Any, truth: Sequence[np.ndarray | Sequence[Box]], tolerance: int = 0
) -> np.ndarray:
    """Whether each map is largest on its object, `[N]` bools (Zhang et al. 2016, section 4.1).

    `maps`: `[N, C, H, W]`, summed over channels. `truth`: for each image a mask `[H, W]`, which is
    an array that is not 0 on the object, or a list of boxes. A hit in any of the boxes counts, and
    so does a point at most `tolerance` pixels away. Raises `ImageError` for maps that are not
    finite or do not fit `truth`.
    """
    if not tolerance >= 0:
        raise ConfigError(f"tolerance must be a number of at least 0, not {tolerance!r}")
    hits = []
    for plane, mask in _with_masks(maps, truth):
        y, x = np.unravel_index(plane.argmax(), plane.shape)
        rows, columns = np.nonzero(mask)
        distances = np.hypot(rows - y, columns - x)
        hits.append(bool((distances <= tolerance).any()))
    return np.array(hits)


def relevance_mass_accuracy(maps: Any, truth: Sequence[np.ndarray | Sequence[Box]]) -> np.ndarray:
    """The share of the relevance that lies on the object, `[N]` (Arras et al. 2022).

    `maps` and `truth` are as for `pointing_game`. The relevance is the sum over channels, cut at 0.
    Higher is better. NaN without relevance or without an object. Raises as `pointing_game` does.
    """
    shares = []
    for plane, mask in _with_masks(maps, truth):
        relevance = np.maximum(plane, 0)
        total = relevance.sum() if mask.any() else 0
        shares.append(relevance[mask].sum() / total if total > 0 else np.nan)
    return np.array(shares)


def relevance_rank_accuracy(maps: Any, truth: Sequence[np.ndarray | Sequence[Box]]) -> np.ndarray:
    """The share of the K most relevant pixels that lie on the object, `[N]` (Arras et al. 2022).

    K is the number of pixels of the object. Of several equal pixels that compete for the last
    places each one counts in part, as on average in random order. Higher is better. NaN without an
    object. `maps` and `truth` are as for `pointing_game`, and it raises as that does.
    """
    shares = []
    for plane, mask in _with_masks(maps, truth):
        size = int(mask.sum())
        if not size:
            shares.append(np.nan)
            continue
        last = np.sort(plane, axis=None)[-size]
        above, equal = plane > last, plane == last
        part = (size - above.sum()) / equal.sum()
        shares.append(((above & mask).sum() + part * (equal & mask).sum()) / size)
    return np.array(shares)


def _with_masks(
    maps: Any, truth: Sequence[np.ndarray | Sequence[Box]]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The sum over channels of each map, and the mask of its object."""
    values = np.asarray(maps, dtype="float64")
    if values.ndim != 4 or len(values) != len(truth):
        raise ImageError(f"{len(truth)} objects do not fit maps of {list(values.shape)}")
    _check_finite(values)
    for plane, objects in zip(values.sum(axis=1), truth):
        yield plane, _mask_of(objects, plane.shape)


def localise(
    pictures: Sequence[Image.Image],
    maps: Sequence[Any],
    *,
    engine: str = "grabcut",
    foreground: float = 0.95,
    background: float = 0.30,
    threshold: float = 0.4,
    smoothing: float = 0.05,
) -> list[Located]:
    """Find each picture's object by a map of the same size (Simonyan et al. 2013, section 3.2).

    `maps`: `[H, W]` or `[1, H, W]` each. `engine`:

    - grabcut: two Gaussian mixtures of 5 components learn colours. One learns the object, from the
      pixels where the map is above its `foreground` quantile. The other learns the background, from
      the pixels below the `background` quantile. Then a graph cut labels every pixel.
    - threshold: the pixels where the blurred map is above `threshold` times its largest value. The
      σ of the blur is `smoothing` times the shorter side. This engine needs no extra package.

    With both engines the largest connected part is the object. Raises `ConfigError` for wrong
    options or if OpenCV is missing, and `ImageError` for maps of another size.
    """
    check_localisation(engine, foreground, background, threshold, smoothing)
    if len(pictures) != len(maps):
        raise ImageError(f"{len(maps)} maps came for {len(pictures)} pictures")
    found = []
    for picture, values in zip(pictures, maps):
        values = np.asarray(values, dtype="float64")
        plane = values[0] if values.ndim == 3 and len(values) == 1 else values
        _check_finite(plane)
        if plane.shape != (picture.height, picture.width):
            raise ImageError(
                f"a map of {list(values.shape)} does not fit a picture of "
                f"{picture.width}×{picture.height}"
            )
        pixels = np.asarray(picture.convert("RGB"))
        if engine == "grabcut":
            mask = _by_grabcut(pixels, plane, foreground, background)
        else:
            mask = _by_threshold(plane, threshold, smoothing * min(plane.shape))
        mask = largest_part(mask)
        found.append(Located(mask, box_of(mask)))
    return found


def check_localisation(
    engine: str, foreground: float, background: float, threshold: float, smoothing: float
) -> None:
    """Raise `ConfigError` for options that `localise` cannot take."""
    if not 0 <= background < foreground <= 1:
        raise ConfigError(
            f"quantiles must be 0 ≤ background < foreground ≤ 1, not {background}, {foreground}"
        )
    if not 0 <= threshold < 1:
        raise ConfigError(f"threshold must be a share of the largest value, not {threshold}")
    if not 0 <= smoothing <= 1:
        raise ConfigError(f"smoothing must be a share of the shorter side, not {smoothing}")
    look_up("engine", engine, dict.fromkeys(("grabcut", "threshold")))
    if engine == "grabcut":
        try:
            import cv2  # noqa: F401
        except ModuleNotFoundError:
            raise ConfigError(
                'the graph cut needs OpenCV: pip install -e ".[localise]", or choose '
                "engine=threshold"
            ) from None


def _by_threshold(plane: np.ndarray, threshold: float, sigma: float) -> np.ndarray:
    smooth = gaussian_blur(paddle.to_tensor(plane[None, None]), sigma).numpy()[0, 0]
    return smooth > threshold * smooth.max() if smooth.max() > 0 else np.zeros(plane.shape, bool)


def _by_grabcut(
    pixels: np.ndarray, plane: np.ndarray, foreground: float, background: float
) -> np.ndarray:
    import cv2

    high, low = np.quantile(plane, [foreground, background])
    if high <= low:  # no part of the map stands out
        return np.zeros(plane.shape, dtype=bool)
    front, back = plane >= high, plane <= low
    seeds = np.concatenate([pixels[front], pixels[back]])[None]
    sure = np.repeat([cv2.GC_FGD, cv2.GC_BGD], [front.sum(), back.sum()]).astype("uint8")[None]
    models = np.zeros((1, 65)), np.zeros((1, 65))
    nowhere = (0, 0, 0, 0)  # an argument that is not used, because there is a mask
    cv2.setRNGSeed(0)
    # 0 iterations: the mixtures are fitted only to the colours of these certain pixels.
    cv2.grabCut(np.ascontiguousarray(seeds), sure, nowhere, *models, 0, cv2.GC_INIT_WITH_MASK)
    labels = np.where(front, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype("uint8")
    bgr = np.ascontiguousarray(pixels)
    cv2.grabCut(bgr, labels, nowhere, *models, 1, cv2.GC_EVAL_FREEZE_MODEL)
    return (labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)


def largest_part(mask: np.ndarray) -> np.ndarray:
    """The largest connected part of a mask. Pixels are connected by their sides, not corners."""
    labels = np.where(mask, np.arange(1, mask.size + 1).reshape(mask.shape), 0)
    before = None
    while before is None or (labels != before).any():
        before = labels
        labels = _spread(_spread(labels).T).T
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return (labels == sizes.argmax()) & mask


def _spread(labels: np.ndarray) -> np.ndarray:
    """In each row, give every run of mask pixels the largest label in it."""
    flat = np.pad(labels, ((0, 0), (0, 1))).ravel()
    inside = flat > 0
    starts = inside & ~np.concatenate([[False], inside[:-1]])
    if starts.any():
        largest = np.maximum.reduceat(flat, np.flatnonzero(starts))
        flat[inside] = largest[np.cumsum(starts)[inside] - 1]
    return flat.reshape(labels.shape[0], -1)[:, :-1]


def box_of(mask: np.ndarray) -> Box:
    """The tight box of a mask. The box of an empty mask is empty."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return Box(0, 0, 0, 0)
    return Box(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)


def overlap(first: Box, second: Box) -> float:
    """The intersection over union of two boxes, from 0 to 1."""
    width = min(first.x1, second.x1) - max(first.x0, second.x0)
    height = min(first.y1, second.y1) - max(first.y0, second.y0)
    both = max(0, width) * max(0, height)
    sizes = [(box.x1 - box.x0) * (box.y1 - box.y0) for box in (first, second)]
    return both / (sum(sizes) - both) if both else 0.0


def crops_map(
    classifier: Classifier,
    picture: Photograph,
    method: Callable[..., paddle.Tensor],
    target: int,
    ten: bool = True,
) -> tuple[Image.Image, np.ndarray]:
    """The picture, resized for the network, and its map `[H, W]`, averaged over ten crops.

    The crops are those of Simonyan et al. 2013, section 3.2: the four corners, the centre, and
    their mirror images. If not `ten`, only the centre crop is used. The map of each crop is
    `method(network, images, targets)`, summed over channels. It is put back at the place of the
    crop. Where no crop reaches, the map is 0. With another `preprocess` than crop the network sees
    the whole picture, and there are no crops.
    """
    size, shorter = classifier.image_size, max(classifier.resize, classifier.image_size)
    sides = size_of(picture)
    factor = shorter / min(sides)
    width, height = (max(size, round(side * factor)) for side in sides)
    resized_picture = resized(picture, (width, height), classifier.resample)
    if classifier.preprocess != CROP:
        view = classifier.view(picture)
        found = method(classifier.network, classifier.images_of([view]), [target]).numpy()[0]
        placed = view.geometry.in_size((width, height)).restored(found.sum(axis=0, keepdims=True))
        return as_rgb(resized_picture), placed[0].astype("float64")
    right, bottom = width - size, height - size
    corners = [(right // 2, bottom // 2)]
    if ten:
        corners += [(0, 0), (right, 0), (0, bottom), (right, bottom)]
    whole = to_tensor([resized_picture], classifier.mean, classifier.std)
    images = paddle.concat([whole[:, :, y : y + size, x : x + size] for x, y in corners])
    if ten:
        images = paddle.concat([images, images.flip([3])])
    maps = method(classifier.network, images, [target] * len(images)).numpy().sum(axis=1)
    total, seen = np.zeros((height, width)), np.zeros((height, width))
    for number, one in enumerate(maps):
        x, y = corners[number % len(corners)]
        mirrored = number >= len(corners)
        total[y : y + size, x : x + size] += one[:, ::-1] if mirrored else one
        seen[y : y + size, x : x + size] += 1
    return as_rgb(resized_picture), total / np.maximum(seen, 1)


def _check_finite(values: np.ndarray) -> None:
    if not np.isfinite(values).all():
        raise ImageError("a map holds NaN or infinite values")


def _mask_of(objects: np.ndarray | Sequence[Box], shape: tuple[int, int]) -> np.ndarray:
    if isinstance(objects, np.ndarray):
        if objects.shape != shape:
            raise ImageError(f"a mask of {list(objects.shape)} does not fit a map of {list(shape)}")
        return objects != 0
    mask = np.zeros(shape, dtype=bool)
    for x0, y0, x1, y1 in objects:
        mask[max(0, y0) : max(0, y1), max(0, x0) : max(0, x1)] = True
    return mask
