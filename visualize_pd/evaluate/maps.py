"""Check maps, and order the pixels by them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Union

import numpy as np
import paddle

from ..core.errors import ConfigError, ImageError

Maps = Union[paddle.Tensor, np.ndarray]


def planes(maps: Any) -> np.ndarray:
    """Check maps `[N, C, H, W]`; return the sums over channels, `[N, H, W]`.

    Raises `ImageError` for another shape, and for values that are not finite.
    """
    values = _array(maps)
    if values.ndim != 4 or 0 in values.shape:
        raise ImageError(f"maps must be [N, C, H, W], not {list(values.shape)}")
    if not np.isfinite(values).all():
        raise ImageError("a map holds NaN or infinite values")
    return values.sum(axis=1)


def planes_of(maps: Maps, images: paddle.Tensor) -> np.ndarray:
    """As `planes`, for maps that must fit the images. The sums are float32."""
    values = _array(maps)
    wanted = (images.shape[0], *images.shape[2:])
    if values.ndim != 4 or (values.shape[0], *values.shape[2:]) != wanted:
        raise ImageError(f"maps of {list(values.shape)} do not fit images of {list(images.shape)}")
    return planes(values).astype("float32")


def pixel_order(plane: np.ndarray) -> np.ndarray:
    """The indices of the pixels `[H · W]`, the largest first. Equal ones come in random order."""
    shuffled = np.random.default_rng(0).permutation(plane.size)
    return shuffled[np.argsort(-plane.ravel()[shuffled], kind="stable")]


def check_shares(shares: Any) -> None:
    """Raise `ConfigError` unless `shares` are numbers over 0 and under 1, at least one."""
    several = isinstance(shares, (Sequence, np.ndarray)) and not isinstance(shares, str)
    if not several or not len(shares) or not all(_is_share(each) for each in shares):
        raise ConfigError(f"shares must be a list of numbers over 0 and under 1, not {shares!r}")


def _is_share(value: Any) -> bool:
    return isinstance(value, (float, np.floating)) and bool(0 < value < 1)


def _array(maps: Any) -> np.ndarray:
    try:
        return np.asarray(maps, dtype="float64")
    except (TypeError, ValueError):
        raise ImageError("maps must be a tensor or an array [N, C, H, W]") from None
