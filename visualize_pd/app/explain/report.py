"""The report page of a run of method 1."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from ...attribution.configured import configure_method
from ...core.config import as_dict
from ...models.classifier import Classifier
from ..config.schema import ExplainConfig
from ..report.page import Cell, Figures, Percentage, Picture, Table, figure_link, save_page
from ..report.rows import Row

THUMBNAIL, LARGEST = (96, 96), (1200, 4000)


def save_report(
    folder: Path, classifier: Classifier, config: ExplainConfig, rows: Sequence[Row]
) -> Path:
    """Write a page with a table of the predictions for all images, and their figures below it."""
    by_file: dict[str, list[Row]] = {}
    for row in rows:
        by_file.setdefault(row["file"], []).append(row)
    figures = list(dict.fromkeys(row["figure"] for row in rows if row["figure"]))
    lines = [_line(each, figures) for each in by_file.values()]
    headings = ["", "image", "predicted", "probability", "asked for", "with probability"]
    headings += ["score", "note"]
    items = (
        ("", Picture(Path(figure), LARGEST, Path(figure).name))
        for figure in tqdm(figures, desc="report", leave=False, disable=None)
    )
    methods = [configure_method(each).name for each in config.compare or [config.method]]
    return save_page(
        folder / "index.html",
        f"What {classifier.title} looks at",
        f"{', '.join(dict.fromkeys(methods))}  ·  images: {len(figures)}",
        {"Predictions": Table(headings, lines), "Maps": Figures(items)},
        as_dict(config),
    )


def _line(rows: Sequence[Row], figures: Sequence[str]) -> list[Cell]:
    """The line of one image in the table. `rows` are its rows in the summary, one for a class."""
    first, figure = rows[0], next((row["figure"] for row in rows if row["figure"]), None)
    link = figure_link("Maps", figures.index(figure)) if figure else None
    asked = [
        row
        for row in rows
        if row["name"] and (row["class"] != row["predicted"] or row["rather_than"])
    ]
    scored = [f"{row['name']} {float(row['score']):.4g}" for row in rows if row["score"]]
    several = len(rows) > 1 and not scored
    names = ", ".join(
        (f"{row['name']} {float(row['probability']):.1%}" if several else row["name"])
        + (f" rather than {row['rather_than']}" if row["rather_than"] else "")
        for row in (rows if several else asked)
    )
    share = Percentage(asked[0]["probability"]) if asked and not several else None
    predicted = first["predicted_probability"]
    return [
        Picture(Path(first["file"]), THUMBNAIL, link),
        Path(first["file"]).name,
        first["predicted_name"],
        Percentage(predicted) if predicted else None,
        names,
        share,
        ", ".join(scored),
        "; ".join(dict.fromkeys(row["note"] for row in rows if row["note"])),
    ]
