"""Draw the panels of a figure from a map."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

from .colormaps import Spread, blend, heat, heat_over, standardise


def overlay(
    picture: Image.Image, attribution: Any, alpha: float = 0.5, colormap: str = "auto"
) -> Image.Image:
    """Draw the map of one image, `[1, 1, H, W]` (tensor or array), in colours over its picture."""
    values = np.asarray(attribution, dtype="float64").reshape(attribution.shape[-2:])
    photograph = picture.convert("RGB").resize((values.shape[1], values.shape[0]))
    return Image.fromarray(heat_over(np.asarray(photograph), values, colormap, alpha=alpha))


def map_panels(
    picture: np.ndarray,
    attribution: np.ndarray,
    reduced: np.ndarray,
    names: tuple[str, str],
    colormap: str = "auto",
    spread: Spread | None = None,
) -> list[tuple[str, np.ndarray]]:
    """The panels of a figure, as in VisualizeCNN-Pd.

    They are the input, the map with its colour channels, the map in one channel, and the overlay. A
    map without colour channels has no second panel. Of a map with neither one nor three channels
    the largest size over the channels is shown. `picture`: `[H, W, 3]` uint8. `attribution`: `[C,
    H, W]`. `reduced`: `[1, H, W]`, or `attribution` itself if its channels were not combined.
    `spread`: the statistics of all maps that share the scale of `reduced`.
    """
    panels = [("Input image", picture)]
    if len(reduced) not in (1, 3):
        names = (names[0], f"{names[1]}: largest of {len(reduced)} channels")
        reduced, spread = np.abs(reduced).max(axis=0, keepdims=True), None
    if len(attribution) == 3:
        in_colour = len(reduced) == 3
        by_channel = reduced if in_colour else attribution
        colours = standardise(by_channel, spread if in_colour else None).transpose(1, 2, 0)
        panels.append((names[0], np.round(colours * 255).astype("uint8")))
    if len(reduced) == 1:
        over = heat_over(picture, reduced[0], colormap, spread)
        panels += [(names[1], heat(reduced[0], colormap, spread)), ("Overlay", over)]
    elif len(attribution) == 3:
        panels.append(("Overlay", blend(picture, panels[1][1])))
    return panels
