"""Measures that tell whether a map or a generated image can be trusted."""

from .faithfulness import (
    Curve,
    Drop,
    average_drop,
    deletion,
    infidelity,
    insertion,
    max_sensitivity,
)
from .localisation import Box, Located, box_of, crops_map, localise, overlap, pointing_game
from .sanity import Randomised, randomisation
from .transfer import Named, shares, transfer
from .truth import Truth, read_truth

__all__ = [
    "Box",
    "Curve",
    "Drop",
    "Located",
    "Named",
    "Randomised",
    "Truth",
    "average_drop",
    "box_of",
    "crops_map",
    "deletion",
    "infidelity",
    "insertion",
    "localise",
    "max_sensitivity",
    "overlap",
    "pointing_game",
    "randomisation",
    "read_truth",
    "shares",
    "transfer",
]
