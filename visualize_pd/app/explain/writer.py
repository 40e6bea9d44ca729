"""Write figures, grids and arrays of explained images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from ...attribution.configured import ConfiguredMethod
from ...models.classifier import Classifier
from .. import drawing
from ..config.schema import ExplainConfig
from ..report.summary import Summary
from .figures import common_spreads, draw_figure, draw_grid, grid_rows, summary_line, summary_rows
from .maps import Explanation

ROWS_PER_SHEET = 12
SHEETS = r"comparison(_[0-9]+of[0-9]+)?(_[0-9]+)?"  # the names of sheets


class FigureWriter:
    """Writes each figure at once, and each grid when it is full. With a common scale it waits.

    Maps on a common scale can only be drawn when all maps are known.
    """

    def __init__(
        self,
        folder: Path,
        names: dict[Path, str],
        classifier: Classifier,
        methods: Sequence[ConfiguredMethod],
        config: ExplainConfig,
        say: Callable[[str], None],
        summary: Summary,
        sheet: str,
    ):
        self.folder, self.names, self.classifier = folder, names, classifier
        self.methods, self.config, self.say = methods, config, say
        self.summary, self.sheet = summary, sheet
        self.sheets = 0
        self.waiting: list[Explanation] = []
        self.rows: list[drawing.Row] = []

    def without_existing(self, paths: Sequence[Path]) -> list[Path]:
        """The images that have no figure yet. The summary keeps the rows of the others."""
        known = self.summary.known()
        missing = [path for path in paths if not self._figure(path).is_file()]
        existing = [path for path in paths if path not in set(missing)]
        for path in existing:
            note = {"file": str(path), "figure": str(self._figure(path)), "note": "existing"}
            self.summary.rows += known.get(str(path)) or [note]
        if existing:
            self.say(f"{len(existing)} of {len(paths)} images have their figure already")
        return missing

    def _figure(self, path: Path) -> Path:
        return self.folder / f"{self.names[path]}_pp.jpg"

    def take(self, explained: Explanation) -> None:
        """Write the arrays of an image, and its figure unless the figure must wait for others."""
        if self.config.save_arrays:
            self._save_arrays(explained)
        if self.config.common_scale:
            self.waiting.append(explained)
        else:
            self._draw(explained)

    def finish(self) -> None:
        """Write the figures and grids that had to wait."""
        spreads = common_spreads(self.waiting) if self.waiting else None
        for explained in self.waiting:
            self._draw(explained, spreads)
        if self.rows:
            self._save_sheet()

    def _draw(self, explained: Explanation, spreads: list[drawing.Spread] | None = None) -> None:
        line = f"{explained.path.name}: {summary_line(explained, self.classifier)}"
        colormap = self.config.colormap
        if self.config.compare:
            self.say(line)
            rows = grid_rows(explained, self.classifier, self.methods, colormap, spreads)
            for row in rows:
                self.rows.append(row)
                if len(self.rows) == ROWS_PER_SHEET:
                    self._save_sheet()
            if not self.config.report:
                self.summary.add(summary_rows(explained, self.classifier))
                return
            figure = draw_grid(rows, caption="")  # the page names the network once
        else:
            spread = spreads[0] if spreads else None
            figure = draw_figure(explained, self.classifier, self.methods[0], colormap, spread)
        output = self._figure(explained.path)
        drawing.save_picture(output, figure)
        self.summary.add(summary_rows(explained, self.classifier, output))
        if not self.config.compare:
            self.say(f"{line} → {output}")

    def _save_sheet(self) -> None:
        self.sheets += 1
        number = f"_{self.sheets}" if self.sheets > 1 else ""
        output = self.folder / f"{self.sheet}{number}_pp.jpg"
        note = "each method on one scale for all images" if self.config.common_scale else ""
        drawing.save_picture(output, draw_grid(self.rows, self.classifier.title, note))
        self.say(f"→ {output}")
        self.rows = []

    def _save_arrays(self, explained: Explanation) -> None:
        """One file for each method. The maps of several classes are stacked."""
        for m, method in enumerate(self.methods):
            maps = [row[m].reduced for row in explained.maps]
            which = f"_{m + 1}_{method.name}" if self.config.compare else ""
            output = self.folder / f"{self.names[explained.path]}{which}_pp.npy"
            drawing.save_array(output, np.stack(maps) if len(maps) > 1 else maps[0])
