"""Two animals in one picture, and a second picture of each. What makes them similar?

    python -m visualize_pd.app.examples.similarity
    python method_1_pp.py --config configs/similarity.yaml

The second pictures are mirrored, so that no place is the same. The map of the similarity to one of
them lies on this animal and not on the other one.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageOps

from ...core.images import load_image
from .. import drawing

SIDE = 224
ANIMALS = {"panda": "giant_panda.jpg", "macaw": "scarlet_macaw.jpg"}


def pictures(folder: Path) -> dict[str, Image.Image]:
    """The picture `together`, and a mirrored picture of each animal, made of photographs."""
    squares = {
        name: ImageOps.fit(load_image(folder / file), (SIDE, SIDE), Image.Resampling.LANCZOS)
        for name, file in ANIMALS.items()
    }
    together = Image.new("RGB", (SIDE * len(squares), SIDE))
    for place, square in enumerate(squares.values()):
        together.paste(square, (place * SIDE, 0))
    mirrored = {name: ImageOps.mirror(square) for name, square in squares.items()}
    return {"together": together, **mirrored}


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photographs", type=Path, default=Path("content/images"))
    options = parser.parse_args(arguments)
    folder = Path("images") / "similarity"
    for name, picture in pictures(options.photographs).items():
        drawing.save_picture(folder / f"{name}.png", picture)
    print(f"→ {folder}")


if __name__ == "__main__":
    main()
