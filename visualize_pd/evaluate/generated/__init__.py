"""Measures of generated images: what other networks see in them, and how they look."""

from .pairs import QUESTIONS, Pair, Preference, lay_out, preferences, sign_test
from .picture_measures import PICTURE_MEASURES, contrast, luminance, saturation, spectrum_slope
from .transfer import (
    CLASSES,
    FRESH_CLASSES,
    JUDGES,
    Named,
    class_ascent,
    judge_pictures,
    make_class_images,
    mean_probability,
    shares,
    statistics_distances,
    transfer,
)

__all__ = [
    "CLASSES",
    "FRESH_CLASSES",
    "JUDGES",
    "PICTURE_MEASURES",
    "QUESTIONS",
    "Named",
    "Pair",
    "Preference",
    "class_ascent",
    "contrast",
    "judge_pictures",
    "lay_out",
    "luminance",
    "make_class_images",
    "mean_probability",
    "preferences",
    "saturation",
    "shares",
    "sign_test",
    "spectrum_slope",
    "statistics_distances",
    "transfer",
]
