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
from .generated import (
    Named,
    Pair,
    Preference,
    contrast,
    lay_out,
    mean_probability,
    preferences,
    saturation,
    shares,
    sign_test,
    spectrum_slope,
    statistics_distances,
    transfer,
)
from .localisation import Box, Located, box_of, crops_map, localise, overlap, pointing_game
from .sanity import Randomised, randomisation
from .truth import Truth, read_truth

__all__ = [
    "Box",
    "Curve",
    "Drop",
    "Located",
    "Named",
    "Pair",
    "Preference",
    "Randomised",
    "Truth",
    "average_drop",
    "box_of",
    "contrast",
    "crops_map",
    "deletion",
    "infidelity",
    "insertion",
    "lay_out",
    "localise",
    "max_sensitivity",
    "mean_probability",
    "overlap",
    "pointing_game",
    "preferences",
    "randomisation",
    "read_truth",
    "saturation",
    "shares",
    "sign_test",
    "spectrum_slope",
    "statistics_distances",
    "transfer",
]
