"""Write figures, grids and arrays of explained images."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from ...attribution.configured import ConfiguredMethod
from ...core.fingerprint import Fingerprint, as_text
from ...models.classifier import Classifier
from .. import drawing
from ..config.schema import ExplainConfig
from ..report.rows import Row
from ..report.summary import Summary
from .figures import common_spreads, draw_figure, draw_grid, grid_rows, summary_line, summary_rows
from .fingerprint import find_done
from .maps import Explanation, notes_of
from .names import ResultPaths

ROWS_PER_SHEET = 12


class FigureWriter:
    """Writes each figure at once, and each grid when it is full. With a common scale it waits.

    Maps on a common scale can only be drawn when all maps are known. `inputs` is the fingerprint of
    the run. It is written into each figure, together with a digest of the picture.
    """

    def __init__(
        self,
        paths: ResultPaths,
        classifier: Classifier,
        methods: Sequence[ConfiguredMethod],
        config: ExplainConfig,
        inputs: Fingerprint,
        say: Callable[[str], None],
        summary: Summary,
    ):
        self.paths, self.classifier, self.methods = paths, classifier, methods
        self.config, self.inputs, self.say, self.summary = config, inputs, say, summary
        self.written: list[Path] = []
        self.sheets = 0
        self.waiting: list[Explanation] = []
        self.rows: list[drawing.Row] = []

    def without_done(
        self, pictures: Sequence[Path], known: Mapping[str, Sequence[Row]]
    ) -> list[Path]:
        """The pictures that must be explained. The summary gets the rows of the others.

        `known` are the rows of earlier runs. A figure is made anew if anything else has changed.
        """
        if not known:
            return list(pictures)
        with_arrays = self.config.save_arrays
        done, reasons = find_done(pictures, known, self.inputs, self.paths, with_arrays)
        self.summary.rows += [row for rows in done.values() for row in rows]
        self.say(f"{len(done)} of {len(pictures)} images have their figure already")
        for reason, count in reasons.items():
            figures = "1 figure is" if count == 1 else f"{count} figures are"
            self.say(f"{figures} drawn anew: {reason}")
        return [picture for picture in pictures if picture not in done]

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
        line = f"{explained.path.name}: {summary_line(explained, self.classifier, self.methods)}"
        colormap = self.config.colormap
        if self.config.compare:
            self.say(line)
            rows = grid_rows(explained, self.classifier, self.methods, colormap, spreads)
            for row in rows:
                self.rows.append(row)
                if len(self.rows) == ROWS_PER_SHEET:
                    self._save_sheet()
            if not self.config.report:
                self._record(explained)
                return
            figure = draw_grid(rows, caption="")  # the page names the network once
        else:
            spread = spreads[0] if spreads else None
            figure = draw_figure(explained, self.classifier, self.methods[0], colormap, spread)
        output = self.paths.figure(explained.path)
        drawing.save_picture(output, figure, self._fingerprint(explained))
        self.written.append(output)
        self._record(explained, output)
        if not self.config.compare:
            self.say(f"{line} → {output}")

    def _fingerprint(self, explained: Explanation) -> str:
        return as_text({"image": explained.digest, **self.inputs})

    def _record(self, explained: Explanation, figure: Path | str = "") -> None:
        """Add the rows of an image to the summary."""
        rows = summary_rows(explained, self.classifier, figure)
        own = {"fingerprint": self._fingerprint(explained)}
        self.summary.add(
            [{**row, **own, "note": note} for row, note in zip(rows, notes_of(explained))]
        )

    def _save_sheet(self) -> None:
        self.sheets += 1
        output = self.paths.sheet(self.sheets)
        note = "each method on one scale for all images" if self.config.common_scale else ""
        drawing.save_picture(output, draw_grid(self.rows, self.classifier.title, note))
        self.written.append(output)
        self.say(f"→ {output}")
        self.rows = []

    def _save_arrays(self, explained: Explanation) -> None:
        """One file for each method. The maps of several classes are stacked."""
        for m, output in enumerate(self.paths.arrays(explained.path)):
            maps = [explained.view.raw(row[m].reduced) for row in explained.maps]
            drawing.save_array(output, np.stack(maps) if len(maps) > 1 else maps[0])
            self.written.append(output)
