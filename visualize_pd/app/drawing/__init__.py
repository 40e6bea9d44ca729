"""Turn arrays into pictures. Nothing in this folder depends on a method or a network."""

from .animation import ANIMATIONS, check_animation, save_animation
from .colormaps import (
    COLORMAPS,
    Spread,
    blend,
    heat,
    heat_over,
    spread_of,
    standardise,
)
from .figure import Row, figure
from .files import read_comment, save_array, save_picture
from .panels import map_panels, overlay
from .tiles import captioned, cut_out, tile, untile

__all__ = [
    "ANIMATIONS",
    "COLORMAPS",
    "Row",
    "Spread",
    "blend",
    "captioned",
    "check_animation",
    "cut_out",
    "figure",
    "heat",
    "heat_over",
    "map_panels",
    "overlay",
    "read_comment",
    "save_animation",
    "save_array",
    "save_picture",
    "spread_of",
    "standardise",
    "tile",
    "untile",
]
