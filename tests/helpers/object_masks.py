"""Masks and a classifier for the tests of localisation."""

import numpy as np
from paddle import nn

from visualize_pd import Classifier


def mask_of(box, height=6, width=9):
    """A mask `[height, width]` that is true inside the box (x0, y0, x1, y1)."""
    mask = np.zeros((height, width), dtype=bool)
    mask[box[1] : box[3], box[0] : box[2]] = True
    return mask


def identity_classifier(size=16, resize=20, resample="bicubic", **options):
    """A classifier whose network returns its input; only its preprocessing matters."""
    return Classifier(
        nn.Identity(), "none", "None", size, resize=resize, resample=resample, **options
    )
