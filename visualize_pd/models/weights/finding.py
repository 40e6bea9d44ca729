"""Find weight files in the folder `weights/`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from ...core.errors import WeightsError

SUFFIXES = (".pdparams", ".safetensors", ".pth", ".pt")
OTHERS = (".onnx", ".pdiparams")  # of exported networks; they are used only if they are named
BEST = ("best_model.pdparams", "best_model/best_model.pdparams", "best_model/model.pdparams")


def weights_folder() -> Path:
    """`weights/` in the current folder, or else in the clone that the package runs from."""
    clone = Path(__file__).resolve().parents[3] / "weights"
    return clone if clone.is_dir() and not Path("weights").is_dir() else Path("weights")


def find_weights(name: str, folder: Path | None = None, others: Iterable[str] = ()) -> Path | None:
    """The weight file of a network in `weights/`. None if there is none.

    Without its suffix, the file is called `name`, or `name` followed by a hyphen, an underscore or
    a dot and more text. Case does not matter. Of several files, one in Paddle's own format is
    taken first. Files of `others`, whose longer names begin the same way, are left out.
    """
    folder = folder or weights_folder()
    if not folder.is_dir():
        return None
    fits = _begins_with(name)
    longer = [_begins_with(o) for o in others if len(o) > len(name) and fits.fullmatch(o)]
    files = [f for f in folder.iterdir() if f.suffix.lower() in SUFFIXES and fits.fullmatch(f.stem)]
    files = [f for f in files if f.is_file() and not any(o.fullmatch(f.stem) for o in longer)]
    return min(files, key=lambda f: (SUFFIXES.index(f.suffix.lower()), f.name), default=None)


def _begins_with(name: str) -> re.Pattern[str]:
    return re.compile(rf"{re.escape(name)}([-_.].*)?", re.IGNORECASE)


def weights_in(folder: Path) -> Path:
    """The weight file in a folder that a training or an export has written.

    It is the best model of PaddleX or PaddleClas, or else the only weight file in the folder.
    Raises `WeightsError` if there is none, and if there are several.
    """
    for best in BEST:
        if (folder / best).is_file():
            return folder / best
    files = [f for f in folder.iterdir() if f.suffix.lower() in SUFFIXES + OTHERS and f.is_file()]
    if len(files) != 1:
        names = ", ".join(sorted(f.name for f in files)[:5])
        found = f"several weight files: {names}" if files else "no weight file"
        raise WeightsError(f"the folder {folder} has {found}; give the path of the file")
    return files[0]
