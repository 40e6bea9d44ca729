"""What is shown of an explained image: a line in the terminal, a figure, or a row in a grid."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from ...attribution.configured import ConfiguredMethod
from ...attribution.methods import WITHOUT_CLASS
from ...core.checks import look_up
from ...models.classifier import Classifier
from .. import drawing
from ..report.rows import FIELDS
from .maps import Explanation

IN_GRID = 256  # pixels of the longer side of a whole picture


def summary_line(
    explained: Explanation, classifier: Classifier, methods: Sequence[ConfiguredMethod]
) -> str:
    """One line: the classes with the highest probabilities, and those that were asked for.

    For scores that are functions, their names and values.
    """
    gaps = _gaps(explained, methods)
    gaps = gaps and f" ({gaps})"
    if explained.scores:
        return _scored(explained) + gaps
    ranked = ", ".join(_ranked(explained, classifier))
    if explained.predicted and not any(explained.others):
        return ranked + gaps
    asked = ", ".join(_names(explained, classifier))
    return f"{asked} (top 5: {ranked}){gaps}"


def summary_rows(
    explained: Explanation, classifier: Classifier, figure: Path | str = ""
) -> list[dict[str, str]]:
    """The rows of `summary.csv` for an image, one for each class or each function."""
    file = {"file": str(explained.path), "figure": str(figure)}
    if explained.scores:
        return [
            {**dict.fromkeys(FIELDS, ""), **file, "name": name, "score": f"{value:.6g}"}
            for name, value in explained.scores.items()
        ]
    shares = explained.probabilities
    best = int(shares.argmax())
    return [
        {
            **file,
            "class": str(target),
            "name": classifier.class_name(target),
            "probability": f"{shares[target]:.6g}",
            "rather_than": "; ".join(map(classifier.class_name, others)),
            "score": "",
            "predicted": str(best),
            "predicted_name": classifier.class_name(best),
            "predicted_probability": f"{shares[best]:.6g}",
        }
        for target, others in zip(explained.targets, explained.others)
    ]


def common_spreads(explained: Sequence[Explanation]) -> list[drawing.Spread]:
    """For each method, the statistics of its maps of all images and classes."""
    return [
        drawing.spread_of([row[m].reduced for each in explained for row in each.maps])
        for m in range(len(explained[0].maps[0]))
    ]


def draw_figure(
    explained: Explanation,
    classifier: Classifier,
    method: ConfiguredMethod,
    colormap: str = "auto",
    spread: drawing.Spread | None = None,
) -> Image.Image:
    """The figure of one image for its first method, with a row of panels for each class."""
    targets, names = explained.targets, _names(explained, classifier)
    ranked = _ranked(explained, classifier)
    several = len(targets) > 1
    rows = []
    for name, (each, *_) in zip(names, explained.maps):
        panels = drawing.map_panels(
            explained.picture,
            explained.view.shown(each.whole, explained.picture),
            explained.view.shown(each.reduced, explained.picture),
            method.panel_titles(),
            colormap,
            spread,
        )
        rows.append((name if several else "", panels))
    if explained.scores:
        head, detail = names[0], ""
    elif method.name in WITHOUT_CLASS:
        head, detail = ranked[0], "whatever the class"
    elif several:
        head, detail = f"{len(targets)} classes", f"predicted: {ranked[0]}"
    else:
        origin = "predicted" if explained.predicted else f"asked for; predicted: {ranked[0]}"
        head, detail = names[0], f"class {targets[0]}, {origin}"
    detail = f"{method.name}, {detail}" if detail else method.name
    notes = [explained.path.name, detail, _gaps(explained, [method])]
    note = "  ·  ".join([*filter(None, notes), *(["common scale"] if spread else [])])
    whole = explained.view.picture is not None  # it has the size of a crop that is drawn twofold
    caption = f"{head}  ·  {classifier.title}"
    return drawing.figure(rows, caption, note, scale=1 if whole else 2, large=True)


def grid_rows(
    explained: Explanation,
    classifier: Classifier,
    methods: Sequence[ConfiguredMethod],
    colormap: str = "auto",
    spreads: Sequence[drawing.Spread] | None = None,
) -> list[drawing.Row]:
    """A row for each class, with the photograph and a cell for each method."""
    shared: Sequence[drawing.Spread | None] = spreads or [None] * len(methods)
    titles = ["Input image", *_titles(methods)]
    picture = _in_grid(explained)
    rows: list[drawing.Row] = []
    for name, maps in zip(_names(explained, classifier), explained.maps):
        cells = [
            _cell(picture, method, explained.view.shown(each.reduced, picture), colormap, spread)
            for method, each, spread in zip(methods, maps, shared)
        ]
        label = f"{name}  ·  {explained.path.name}"
        rows.append((label, list(zip(titles, [picture, *cells]))))
    return rows


def draw_grid(rows: Sequence[drawing.Row], caption: str, note: str = "") -> Image.Image:
    """Draw rows of `grid_rows` on one sheet. Only the first row has titles."""
    untitled = [(label, [("", pixels) for _, pixels in panels]) for label, panels in rows[1:]]
    return drawing.figure([rows[0], *untitled], caption, note, scale=1)


def _in_grid(explained: Explanation) -> np.ndarray:
    """The picture in the size that it has in a grid. A crop stays as it is."""
    if explained.view.picture is None:
        return explained.picture
    picture = Image.fromarray(explained.picture)
    picture.thumbnail((IN_GRID, IN_GRID), Image.Resampling.LANCZOS)
    return np.asarray(picture)


def _cell(
    picture: np.ndarray,
    method: ConfiguredMethod,
    values: np.ndarray,
    colormap: str,
    spread: drawing.Spread | None,
) -> np.ndarray:
    """A map in one channel. A coarse map of a CAM is drawn over the picture."""
    if len(values) > 1:
        return drawing.heat(np.abs(values).max(0), colormap)
    if method.reduction:
        return drawing.heat(values[0], colormap, spread)
    return drawing.heat_over(picture, values[0], colormap, spread)


def _names(explained: Explanation, classifier: Classifier) -> list[str]:
    """The name of each row: its class with the probability, or the functions with their values.

    A class that is compared with others has their names, too.
    """
    if explained.scores:
        return [_scored(explained)]
    return [
        _named(explained, classifier, target) + _rather_than(others, classifier)
        for target, others in zip(explained.targets, explained.others)
    ]


def _rather_than(others: Sequence[int], classifier: Classifier) -> str:
    names = ", ".join(map(classifier.class_name, others))
    return f" rather than {names}" if names else ""


def _scored(explained: Explanation) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in explained.scores.items())


def _ranked(explained: Explanation, classifier: Classifier) -> list[str]:
    top = explained.probabilities.argsort()[::-1][:5]
    return [_named(explained, classifier, index) for index in top]


def _named(explained: Explanation, classifier: Classifier, index: int) -> str:
    return f"{classifier.class_name(int(index))} {explained.probabilities[index]:.1%}"


def _titles(methods: Sequence[ConfiguredMethod]) -> list[str]:
    names = [method.name for method in methods]
    return [method.column_title(names.count(method.name) > 1) for method in methods]


def _gaps(explained: Explanation, methods: Sequence[ConfiguredMethod]) -> str:
    """The completeness gaps of the maps of each method, one for each class."""
    parts = []
    for title, *maps in zip(_titles(methods), *explained.maps):
        shares = [each.gap_share for each in maps if each.gap_share is not None]
        of = f"of {title} " if len(methods) > 1 else ""
        parts += [of + ", ".join(shares)] if shares else []
    return f"completeness gap {'; '.join(parts)}" if parts else ""


def check_colormap(colormap: str) -> None:
    """Raise `ConfigError` for an unknown colour map."""
    look_up("colormap", colormap, {"auto": None, **drawing.COLORMAPS})
