"""Pictures: find and open files, and convert pictures to tensors and back."""

from .channels import Photograph, as_rgb, load_photograph, shown_channels, size_of
from .finding import distinct_names, find_images
from .reading import load_image, load_mask, load_with_digest
from .tensors import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    centre_square,
    crop,
    resized,
    to_pixels,
    to_tensor,
)

__all__ = [
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "Photograph",
    "as_rgb",
    "centre_square",
    "crop",
    "distinct_names",
    "find_images",
    "load_image",
    "load_mask",
    "load_photograph",
    "load_with_digest",
    "resized",
    "shown_channels",
    "size_of",
    "to_pixels",
    "to_tensor",
]
