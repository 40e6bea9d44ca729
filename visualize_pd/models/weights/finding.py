"""Find weight files in the folder `weights/`."""

from __future__ import annotations

import re
from pathlib import Path

SUFFIXES = (".pdparams", ".safetensors", ".pth", ".pt")


def weights_folder() -> Path:
    """`weights/` in the current folder, or else in the clone that the package runs from."""
    clone = Path(__file__).resolve().parents[3] / "weights"
    return clone if clone.is_dir() and not Path("weights").is_dir() else Path("weights")


def find_weights(name: str, folder: Path | None = None) -> Path | None:
    """The weight file of a network in `weights/`. None if there is none.

    Without its suffix, the file is called `name`, or `name` followed by a hyphen, an underscore or
    a dot and more text. Case does not matter. Of several files, one in Paddle's own format is
    taken first.
    """
    folder = folder or weights_folder()
    if not folder.is_dir():
        return None
    fits = re.compile(rf"{re.escape(name)}([-_.].*)?", re.IGNORECASE)
    files = [f for f in folder.iterdir() if f.suffix.lower() in SUFFIXES and fits.fullmatch(f.stem)]
    files = [f for f in files if f.is_file()]
    return min(files, key=lambda f: (SUFFIXES.index(f.suffix.lower()), f.name), default=None)
