"""Weight files in `weights/`."""

from __future__ import annotations

import re
from pathlib import Path

SUFFIXES = (".pdparams", ".safetensors", ".pth", ".pt")


def weights_folder() -> Path:
    """`weights/` here, else the one of the clone that the package runs from."""
    clone = Path(__file__).resolve().parents[3] / "weights"
    return clone if clone.is_dir() and not Path("weights").is_dir() else Path("weights")


def find_weights(name: str, folder: Path | None = None) -> Path | None:
    """The file in `weights/` whose name is `name`, or begins with it and goes on with - _ or a dot.

    Case does not matter; of several, Paddle's own format comes first.
    """
    folder = folder or weights_folder()
    if not folder.is_dir():
        return None
    fits = re.compile(rf"{re.escape(name)}([-_.].*)?", re.IGNORECASE)
    found = [f for f in folder.iterdir() if f.suffix.lower() in SUFFIXES and fits.fullmatch(f.stem)]
    found = [f for f in found if f.is_file()]
    return min(found, key=lambda f: (SUFFIXES.index(f.suffix.lower()), f.name), default=None)
