"""Turn the values of a map into colours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ...core.checks import look_up

# Every eighth colour of matplotlib's viridis (CC0), and its last colour.
_VIRIDIS = (
    "440154 470d60 48186a 482374 472d7b 453781 424086 3e4989 3b528b 375b8d 33638d 2f6b8e 2c728e "
    "297a8e 26828e 23898e 21918c 1f988b 1fa088 22a785 28ae80 32b67a 3fbc73 4ec36b 5ec962 70cf57 "
    "84d44b 98d83e addc30 c2df23 d8e219 ece51b fde725"
)
_JET = "00007f 0000ff 007fff 00ffff 7fff7f ffff00 ff7f00 ff0000 7f0000"
_DIVERGING = "0b2a6b 1f5fb4 6ea6dc c3dcf2 f7f7f7 f6cdb8 e3856a c03a35 6e0f1d"


def _table(anchors: str) -> np.ndarray:
    """A table of 256 colours. Colours between the anchors are interpolated.

    The anchors lie at equal steps, and the last one lies at the end.
    """
    colours = np.array([list(bytes.fromhex(anchor)) for anchor in anchors.split()], dtype="float64")
    step = -(-255 // (len(colours) - 1))
    places = np.minimum(np.arange(len(colours)) * step, 255)
    return np.stack([np.interp(np.arange(256), places, channel) for channel in colours.T], axis=1)


COLORMAPS = {
    "viridis": _table(_VIRIDIS),
    "jet": _table(_JET),
    "grey": _table("000000 ffffff"),
    "diverging": _table(_DIVERGING),
}


class Spread(NamedTuple):
    """Statistics of the values of one map, or of all maps that share a scale."""

    mean: float
    mean_square: float
    low: float
    high: float

    @property
    def std(self) -> float:
        return max(self.mean_square - self.mean**2, 0) ** 0.5


def spread_of(maps: Sequence[np.ndarray]) -> Spread:
    """The statistics of all maps together."""
    count = sum(values.size for values in maps)
    return Spread(
        sum(float(values.sum(dtype="float64")) for values in maps) / count,
        sum(float(np.square(values, dtype="float64").sum()) for values in maps) / count,
        min(float(values.min()) for values in maps),
        max(float(values.max()) for values in maps),
    )


def standardise(values: np.ndarray, spread: Spread | None = None) -> np.ndarray:
    """Scale values to mean 0.5 and standard deviation 0.1, and clip them to [0, 1].

    A constant map becomes 0.5.
    """
    spread = spread or spread_of([values])
    if spread.low == spread.high:
        return np.full_like(values, 0.5)
    return np.clip((values - spread.mean) / spread.std * 0.1 + 0.5, 0, 1)


def heat(values: np.ndarray, colormap: str = "auto", spread: Spread | None = None) -> np.ndarray:
    """Draw a map `[H, W]` in the colours of a colour map: `[H, W, 3]` uint8.

    The lowest value gets the first colour, and the highest value the last one. Values more than
    five standard deviations from the mean are clipped. `diverging` has 0 in the middle. `auto` is
    `diverging` for a map with positive and negative values, and otherwise `viridis`.
    """
    positions, name = _placed(values, colormap, spread)
    return np.round(COLORMAPS[name][np.round(positions * 255).astype(int)]).astype("uint8")


def heat_over(
    picture: np.ndarray,
    values: np.ndarray,
    colormap: str = "auto",
    spread: Spread | None = None,
    alpha: float = 0.5,
) -> np.ndarray:
    """Draw a map as `heat` does, over a picture `[H, W, 3]`.

    Colours of `diverging` cover the picture more if the value is further from 0.
    """
    positions, name = _placed(values, colormap, spread)
    strength = np.full_like(positions, alpha)
    if name == "diverging":
        strength = np.minimum(1, 1.6 * alpha * np.abs(2 * positions - 1) ** 0.7)
    colours = heat(values, name, spread)
    return blend(picture, colours, strength[..., None])


def blend(picture: np.ndarray, colours: np.ndarray, alpha: float | np.ndarray = 0.5) -> np.ndarray:
    """Mix colours with a picture, both `[H, W, 3]` uint8. `alpha` is the share of the colours."""
    return np.round(picture * (1 - alpha) + colours * alpha).astype("uint8")


def _placed(values: np.ndarray, colormap: str, spread: Spread | None) -> tuple[np.ndarray, str]:
    """The positions of values in a colour map, in [0, 1], and the name of the colour map."""
    spread = spread or spread_of([values])
    if colormap == "auto":
        colormap = "diverging" if spread.low < 0 < spread.high else "viridis"
    look_up("colormap", colormap, COLORMAPS)
    if colormap == "diverging":
        high = min(max(-spread.low, spread.high), 5 * spread.mean_square**0.5)
        low = -high
    else:
        low = max(spread.low, spread.mean - 5 * spread.std)
        high = min(spread.high, spread.mean + 5 * spread.std)
    if high <= low:
        return np.full(values.shape, 0.5 if colormap == "diverging" else 0.0), colormap
    return np.clip((values.astype("float64") - low) / (high - low), 0, 1), colormap
