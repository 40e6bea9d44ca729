"""The files of a run of method 1. No two results have the same name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ...attribution.configured import ConfiguredMethod
from ...core.images import distinct_names

SHEETS = r"comparison(_[0-9]+of[0-9]+)?(_[0-9]+)?"
FIGURE = "_pp.jpg"


class ResultPaths:
    """The paths of figures, arrays and sheets. Beside them lie `summary.csv` and `index.html`.

    `taken` are the names that earlier runs have given to the figures of some images.
    """

    def __init__(
        self,
        folder: Path,
        pictures: Sequence[Path],
        methods: Sequence[ConfiguredMethod],
        compare: bool,
        share: tuple[int, int] = (0, 1),
        taken: Mapping[Path, str] | None = None,
    ):
        self.folder, self.methods, self.compare, self.share = folder, methods, compare, share
        self.names = distinct_names(pictures, SHEETS if compare else "", taken)

    def figure(self, picture: Path) -> Path:
        """The figure of a picture."""
        return self.folder / f"{self.names[picture]}{FIGURE}"

    def arrays(self, picture: Path) -> list[Path]:
        """The raw maps of a picture, one file for each method."""
        endings = [f"_{m + 1}_{method.name}" for m, method in enumerate(self.methods)]
        return [
            self.folder / f"{self.names[picture]}{ending}_pp.npy"
            for ending in (endings if self.compare else [""])
        ]

    def sheet(self, number: int) -> Path:
        """A sheet of a comparison. The first one has the number 1. Each process has its own."""
        rank, size = self.share
        process = f"_{rank + 1}of{size}" if size > 1 else ""
        return self.folder / f"comparison{process}{f'_{number}' if number > 1 else ''}{FIGURE}"
