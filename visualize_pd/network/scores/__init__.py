"""The score of an image: of a class, of a function of the output, or a ready-made one."""

from .class_scores import (
    CHECKED,
    SCORES,
    check_class,
    check_distinct,
    check_finite,
    check_images,
    check_or_warn,
    class_scores,
    log_probabilities,
    logits_of,
    probabilities,
    read_logits,
    resolve_targets,
)
from .contrast import Contrast, contrasted
from .functions import HeldScore, Score, score_name
from .scoring import Scored, score_function, score_outputs

__all__ = [
    "CHECKED",
    "SCORES",
    "Contrast",
    "HeldScore",
    "Score",
    "Scored",
    "check_class",
    "check_distinct",
    "check_finite",
    "check_images",
    "check_or_warn",
    "class_scores",
    "contrasted",
    "log_probabilities",
    "logits_of",
    "probabilities",
    "read_logits",
    "resolve_targets",
    "score_function",
    "score_name",
    "score_outputs",
]
