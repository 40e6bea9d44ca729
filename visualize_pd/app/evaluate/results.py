"""Write results as CSV, JSON and plots."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...core.files import atomic_write, write_text
from ...core.text import safe_cell
from .pictures import Say


def save_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows as a CSV file. The keys of the first row are the column names."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(
        {key: safe_cell(cell) if isinstance(cell, str) else cell for key, cell in row.items()}
        for row in rows
    )
    write_text(path, text.getvalue())


def save_json(path: Path, record: Any) -> None:
    """Write a record as JSON."""
    write_text(path, json.dumps(record, indent=2, ensure_ascii=False))


Panel = tuple[str, str, str, Mapping[str, tuple[Sequence[float], Sequence[float]]]]


def plot_curves(path: Path, panels: Sequence[Panel], say: Say) -> None:
    """Draw line plots `(title, x label, y label, {name: (x, y)})` side by side with matplotlib."""
    if not panels:
        return
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        say('the curves are not plotted; install matplotlib: pip install -e ".[evaluate]"')
        return
    figure = Figure(figsize=(5.2 * len(panels), 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    for place, (title, across, up, lines) in enumerate(panels):
        axes = figure.add_subplot(1, len(panels), place + 1)
        styles = ("-", "--", ":", "-.")
        for number, (name, (x, y)) in enumerate(lines.items()):
            axes.plot(x, y, label=name, linestyle=styles[number // 10 % 4])
        axes.set(title=title, xlabel=across, ylabel=up if place == 0 else "")
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
    with atomic_write(path) as file:
        figure.savefig(file, format="png", dpi=120)
    say(f"→ {path}")
