"""method_1: a config → a figure for every image, or grids that compare methods."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from . import render, runtime
from .attribution import Explained, explain_batch, read_targets
from .config import ExplainConfig, as_dict
from .errors import ConfigError, ImageError, look_up
from .figures import common_spreads, draw_figure, draw_grid, grid_rows, summary_line, summary_rows
from .files import make_folder
from .images import distinct_names, find_images, load_image
from .methods import Choice, choose_method
from .models import Classifier, load_model
from .summary import Row, Summary, is_skipped, skipped
from .webpage import Figures, Picture, Share, Table, save_page

ROWS_PER_SHEET = 12
THUMBNAIL, FIGURE = (96, 96), (1200, 4000)


def explain(
    config: ExplainConfig, say: Callable[[str], None], complain: Callable[[str], None]
) -> tuple[int, int]:
    """Explain every image of a config; return how many were done and how many were skipped.

    `say` gets a line for every image, `complain` one for every image that had to be skipped. Of
    several processes each takes its share of the images; both counts are those of all together.
    """
    if config.compare == []:
        raise ConfigError("compare is empty; name the methods to compare, or leave it out")
    methods = [choose_method(method) for method in config.compare or [config.method]]
    _check_colormap(config.colormap)
    rank, size = runtime.share_of_run()
    if config.common_scale and size > 1:
        raise ConfigError("common_scale needs all maps at once: run a single process")
    if config.skip_existing and (config.compare or config.common_scale):
        raise ConfigError("skip_existing needs a figure for each image: no compare or common_scale")
    paths = find_images(config.images)
    folder = make_folder(Path(config.output) / "method_1")
    runtime.use_device(config.device)
    classifier = load_model(**as_dict(config.model))
    wanted = read_targets(config.target, classifier.labels)
    methods = [method.ready(classifier) for method in methods]
    names, summary = distinct_names(paths), Summary(folder, rank, size)
    sheet = f"comparison_{rank + 1}of{size}" if size > 1 else "comparison"
    writer = _Writer(folder, names, classifier, methods, config, say, summary, sheet)
    own = paths[rank::size]
    if config.skip_existing:
        own = writer.without_existing(own)
    hidden = True if len(own) < 2 else None  # None: also where there is no terminal
    try:
        with tqdm(total=len(own), unit="image", disable=hidden, leave=False) as progress:
            for batch in _read_ahead(own, config.batch_size, classifier):
                readable = []
                for path, picture in batch:
                    if isinstance(picture, ImageError):
                        complain(f"skipped: {picture}")
                        summary.add([skipped(path, picture)])
                        progress.update()
                    else:
                        readable.append((path, picture))
                if readable:
                    for explained in explain_batch(methods, classifier, wanted, readable):
                        writer.take(explained)
                        progress.update()
            writer.finish()
    finally:
        summary.save()
    rows = summary.finish([str(path) for path in paths])
    left_out = sum(is_skipped(row) for row in rows)
    if config.report and rank == 0 and left_out < len(paths):
        say(f"→ {_save_report(folder, classifier, config, rows)}")
    return len(paths) - left_out, left_out


def _read_ahead(
    paths: Sequence[Path], size: int, classifier: Classifier
) -> Iterator[list[tuple[Path, Image.Image | ImageError]]]:
    """Batches of cropped pictures; the next one is read while the last one is computed with."""

    def read(batch: Sequence[Path]) -> list[tuple[Path, Image.Image | ImageError]]:
        found: list[tuple[Path, Image.Image | ImageError]] = []
        for path in batch:
            try:
                found.append((path, classifier.crop(load_image(path))))
            except ImageError as error:
                found.append((path, error))
        return found

    batches = [paths[start : start + size] for start in range(0, len(paths), size)]
    with ThreadPoolExecutor(1) as reader:
        following: Future | None = None
        for batch in [*batches, None]:
            current, following = following, reader.submit(read, batch) if batch else None
            if current:
                yield current.result()


def explain_image(
    classifier: Classifier,
    picture: Image.Image | str | Path,
    method: str | Mapping | Sequence[str | Mapping] = "saliency",
    target: str | int | Sequence[str | int] = "predicted",
    colormap: str = "auto",
) -> Image.Image:
    """The figure that `method_1_pp.py` draws of one picture; a notebook shows it by itself.

    `method`: a name of `METHODS`, `{"name": …}` with its options, or a list of these, which makes a
    grid; `target`: predicted, top3, a class by its name or index, or a list of classes. Raises a
    `VisualizeError` for what it cannot do.
    """
    compare = not isinstance(method, (str, Mapping))
    asked = [method] if isinstance(method, (str, Mapping)) else method
    methods = [choose_method(each).ready(classifier) for each in asked]
    if not methods:
        raise ConfigError("no method named")
    _check_colormap(colormap)
    wanted = read_targets(target, classifier.labels)
    if isinstance(picture, (str, Path)):
        path, loaded = Path(picture), load_image(picture)
    else:
        path, loaded = Path("picture"), picture.convert("RGB")
    (explained,) = explain_batch(methods, classifier, wanted, [(path, classifier.crop(loaded))])
    if compare:
        return draw_grid(grid_rows(explained, classifier, methods, colormap), classifier)
    return draw_figure(explained, classifier, methods[0], colormap)


class _Writer:
    """Writes what was explained: figures at once, grids as they fill, a common scale at last."""

    def __init__(
        self,
        folder: Path,
        names: dict[Path, str],
        classifier: Classifier,
        methods: Sequence[Choice],
        config: ExplainConfig,
        say: Callable[[str], None],
        summary: Summary,
        sheet: str,
    ):
        self.folder, self.names, self.classifier = folder, names, classifier
        self.methods, self.config, self.say = methods, config, say
        self.summary, self.sheet = summary, sheet
        self.sheets = 0
        self.waiting: list[Explained] = []
        self.rows: list[render.Row] = []

    def without_existing(self, paths: Sequence[Path]) -> list[Path]:
        """The images without a figure; what an earlier run noted of the others is kept."""
        known = self.summary.known()
        missing = [path for path in paths if not self._figure(path).is_file()]
        there = [path for path in paths if path not in set(missing)]
        for path in there:
            note = {"file": str(path), "figure": str(self._figure(path)), "note": "existing"}
            self.summary.rows += known.get(str(path)) or [note]
        if there:
            self.say(f"{len(there)} of {len(paths)} images have their figure already")
        return missing

    def _figure(self, path: Path) -> Path:
        return self.folder / f"{self.names[path]}_pp.jpg"

    def take(self, explained: Explained) -> None:
        """One more image: its arrays are written, and its picture unless others must come first."""
        if self.config.save_arrays:
            self._save_arrays(explained)
        if self.config.common_scale:
            self.waiting.append(explained)
        else:
            self._draw(explained)

    def finish(self) -> None:
        """Write what had to wait."""
        spreads = common_spreads(self.waiting) if self.waiting else None
        for explained in self.waiting:
            self._draw(explained, spreads)
        if self.rows:
            self._save_sheet()

    def _draw(self, explained: Explained, spreads: list[render.Spread] | None = None) -> None:
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
            figure = draw_grid(rows, self.classifier)
        else:
            spread = spreads[0] if spreads else None
            figure = draw_figure(explained, self.classifier, self.methods[0], colormap, spread)
        output = self._figure(explained.path)
        render.save_picture(output, figure)
        self.summary.add(summary_rows(explained, self.classifier, output))
        if not self.config.compare:
            self.say(f"{line} → {output}")

    def _save_sheet(self) -> None:
        self.sheets += 1
        number = f"_{self.sheets}" if self.sheets > 1 else ""
        output = self.folder / f"{self.sheet}{number}_pp.jpg"
        note = "each method on one scale for all images" if self.config.common_scale else ""
        render.save_picture(output, draw_grid(self.rows, self.classifier, note))
        self.say(f"→ {output}")
        self.rows = []

    def _save_arrays(self, explained: Explained) -> None:
        """One file for each method; the maps of several classes are stacked."""
        for m, method in enumerate(self.methods):
            maps = [row[m].reduced for row in explained.maps]
            own = f"_{m + 1}_{method.name}" if self.config.compare else ""
            output = self.folder / f"{self.names[explained.path]}{own}_pp.npy"
            render.save_array(output, np.stack(maps) if len(maps) > 1 else maps[0])


def _save_report(
    folder: Path, classifier: Classifier, config: ExplainConfig, rows: Sequence[Row]
) -> Path:
    """A page of all images: what the network says of them, and below it their figures."""

    def share(row: Row, key: str) -> Share | None:
        return Share(row[key]) if row[key] else None

    lines = (
        (
            Picture(Path(row["file"]), THUMBNAIL, Path(row["figure"]).name),
            Path(row["file"]).name,
            row["name"],
            share(row, "probability"),
            row["predicted_name"],
            share(row, "predicted_probability"),
            row["note"],
        )
        for row in rows
    )
    headings = ("", "image", "class", "probability", "predicted", "with probability", "note")
    figures = {row["figure"]: Path(row["file"]).name for row in rows if row["figure"]}
    items = (
        (name, Picture(Path(figure), FIGURE, Path(figure).name))
        for figure, name in tqdm(figures.items(), desc="report", leave=False, disable=None)
    )
    methods = [choose_method(each).name for each in config.compare or [config.method]]
    return save_page(
        folder / "index.html",
        f"What {classifier.title} looks at",
        f"{', '.join(dict.fromkeys(methods))}  ·  images: {len(figures)}",
        {"Predictions": Table(headings, lines), "Maps": Figures(items)},
        as_dict(config),
    )


def _check_colormap(colormap: str) -> None:
    look_up("colormap", colormap, {"auto": None, **render.COLORMAPS})
