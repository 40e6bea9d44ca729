"""Line charts, progress and rows of small pictures, as HTML."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .pictures import picture_uri

# Okabe & Ito's colours, darker, so that lines and texts are seen on white.
COLOURS = ("#0072b2", "#b34700", "#00795a", "#a8307a")
WIDTH, HEIGHT = 360, 220  # of a chart, in its own units
LEFT, RIGHT, TOP, BOTTOM = 46, 18, 10, 38


class Line(NamedTuple):
    """A line of a chart: its name, and its points."""

    name: str
    xs: Sequence[float]
    ys: Sequence[float]


def chart(
    lines: Sequence[Line],
    title: str,
    x_title: str,
    width: float = 1.0,
    height: tuple[float, float] | None = None,
) -> str:
    """A line chart. `width` is the largest x; `height` are the lowest and the highest y.

    For a screen reader it is its title and the last value of each line.
    """
    values = [y for line in lines for y in line.ys]
    low, high = height or (min(values, default=0.0), max(values, default=1.0))
    high = high if high > low else low + 1
    frame = (low, high, width or 1.0)
    last = ", ".join(f"{line.name} {line.ys[-1]:.3g}" for line in lines if len(line.ys))
    label = html.escape(f"{title}: {last}" if last else title)
    drawn = "".join(
        f'<polyline points="{_points(line, frame)}" fill="none" stroke-width="2.2" '
        f'stroke="{COLOURS[number % len(COLOURS)]}" stroke-linejoin="round"/>'
        for number, line in enumerate(lines)
    )
    return (
        f'<figure class="chart"><figcaption>{html.escape(title)}</figcaption>'
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">'
        f"{_axes(frame, x_title)}{drawn}</svg>{_legend(lines)}</figure>"
    )


def _points(line: Line, frame: tuple[float, float, float]) -> str:
    low, high, width = frame
    across, up = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    places = (
        (LEFT + x / width * across, TOP + (high - y) / (high - low) * up)
        for x, y in zip(line.xs, line.ys)
    )
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in places)


def _axes(frame: tuple[float, float, float], x_title: str) -> str:
    low, high, width = frame
    across, up = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    parts = []
    for share in (0, 0.25, 0.5, 0.75, 1):
        y, x = TOP + (1 - share) * up, LEFT + share * across
        value, place = low + share * (high - low), share * width
        number = f"{place:.0%}" if width == 1 else f"{place:.0f}"
        parts.append(
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" class="grid"/>'
            f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:.2g}</text>'
            f'<text x="{x:.1f}" y="{HEIGHT - 20}" text-anchor="middle">{number}</text>'
        )
    middle = LEFT + across / 2
    title = html.escape(x_title)
    parts.append(f'<text x="{middle}" y="{HEIGHT - 4}" text-anchor="middle">{title}</text>')
    return "".join(parts)


def _legend(lines: Sequence[Line]) -> str:
    if len(lines) < 2:
        return ""
    items = (
        f'<li><i style="background:{COLOURS[number % len(COLOURS)]}"></i>'
        f"{html.escape(line.name)}</li>"
        for number, line in enumerate(lines)
    )
    return f'<ul class="legend">{"".join(items)}</ul>'


def progress(done: float, label: str) -> str:
    """A bar that shows the share that is done, in [0, 1]."""
    return f'<progress max="1" value="{done:.4f}" aria-label="{html.escape(label)}"></progress>'


def figure(picture: np.ndarray | str, caption: str, kind: str = "") -> str:
    """A picture `[H, W, 3]`, or one that lies in an address, with its caption."""
    address = picture if isinstance(picture, str) else picture_uri(picture)
    text, kind = html.escape(caption), f' class="{kind}"' if kind else ""
    return (
        f'<figure{kind}><img src="{address}" alt="{text}"><figcaption>{text}</figcaption></figure>'
    )


def hint(sentence: str) -> str:
    """A line for a person who has nothing to see yet."""
    return f'<p class="hint">{html.escape(sentence)}</p>'


def heading(sentence: str) -> str:
    """The heading of what a tab shows."""
    return f"<h2>{html.escape(sentence)}</h2>"
