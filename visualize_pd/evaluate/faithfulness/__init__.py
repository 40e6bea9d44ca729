"""Does a map show what the network uses? Each measure changes the image and compares the scores."""

from .additivity import completeness, infidelity, sensitivity_n
from .curves import Curve, contrast_insertion, deletion, insertion
from .masking import Drop, average_drop, average_gain
from .remove_and_debias import road
from .robustness import max_sensitivity

__all__ = [
    "Curve",
    "Drop",
    "average_drop",
    "average_gain",
    "completeness",
    "contrast_insertion",
    "deletion",
    "infidelity",
    "insertion",
    "max_sensitivity",
    "road",
    "sensitivity_n",
]
