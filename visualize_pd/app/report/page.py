"""Write results as one HTML page. It contains its pictures and its script, and works offline."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Any, NamedTuple, Union
from urllib.parse import quote

import yaml
from PIL import Image

from ...core.errors import ImageError
from ...core.files import atomic_write
from ...core.images import load_image

# GIF, WebP and APNG are shown as pictures. An MP4 needs a video player.
ANIMATED = {".gif": "image/gif", ".webp": "image/webp", ".apng": "image/apng", ".mp4": "video/mp4"}


class Picture(NamedTuple):
    """A picture file, reduced to fit into `(width, height)`. A click opens `link`.

    A link is a file relative to the page, or a place in the page that `figure_link` returns.
    """

    path: Path
    within: tuple[int, int]
    link: str | None = None


class Animation(NamedTuple):
    """The file of an animation. The page contains it unchanged."""

    path: Path


class Percentage(float):
    """A number that is shown as a percentage."""


Cell = Union[str, int, float, Picture, None]


class Table(NamedTuple):
    """Rows of texts, numbers and pictures. A click on a heading sorts them.

    Empty columns are left out.
    """

    headings: Sequence[str]
    rows: Sequence[Sequence[Cell]]


class Figures(NamedTuple):
    """Pictures and animations below one another, each with its name. A name may be empty."""

    items: Iterable[tuple[str, Picture | Animation]]


Parts = Mapping[str, Union[Table, Figures]]


def save_page(path: Path, title: str, about: str, parts: Parts, config: Mapping[str, Any]) -> Path:
    """Write a page with its parts, each under a heading, and with the config of the run.

    The page is written piece by piece, so memory does not grow with the number of pictures. A
    picture that cannot be read is left out. Raises `OutputError` if the page cannot be written.
    """
    shell = Path(__file__).with_name("page.html").read_text(encoding="utf-8")
    head, foot = shell.split("<!-- parts -->")
    with atomic_write(path) as file:

        def write(text: str) -> None:
            # The name of a file may contain bytes that are not valid text.
            file.write(text.encode("utf-8", "backslashreplace"))

        write(Template(head).substitute(title=escape(title), about=escape(about)))
        for heading, part in parts.items():
            write(f"<h2>{escape(heading)}</h2>\n")
            for piece in _table(part) if isinstance(part, Table) else _figures(heading, part):
                write(piece)
        text = yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True)
        write(f"<h2>Config</h2>\n<pre>{escape(text)}</pre>{foot}")
    return path


def _table(table: Table) -> Iterator[str]:
    yield '<input type="search" placeholder="Filter" aria-label="Filter the rows">\n'
    yield '<div class="wide"><table><thead><tr>'
    columns = [n for n in range(len(table.headings)) if any(_holds(row[n]) for row in table.rows)]
    for heading in (table.headings[n] for n in columns):
        yield f"<th><button>{escape(heading)}</button></th>" if heading else "<td></td>"
    yield "</tr></thead><tbody>\n"
    for row in table.rows:
        yield f"<tr>{''.join(_cell(row[n]) for n in columns)}</tr>\n"
    yield "</tbody></table></div>\n"


def _holds(value: Cell) -> bool:
    return value is not None and value != ""


def _cell(value: Cell) -> str:
    if isinstance(value, Picture):
        return f"<td>{_picture(value, '')}</td>"
    if isinstance(value, (int, float)):
        shown = f"{value:.1%}" if isinstance(value, Percentage) else f"{value:.4g}"
        return f'<td class="number" data-value="{value!r}">{shown}</td>'
    return f"<td>{escape(value or '')}</td>"


def figure_link(heading: str, number: int) -> str:
    """The link to a figure in the page. The first figure under a heading has the number 0."""
    return f"#{quote(heading.lower())}-{number}"


def _figures(heading: str, figures: Figures) -> Iterator[str]:
    for number, (name, item) in enumerate(figures.items):
        drawn = _picture(item, name) if isinstance(item, Picture) else _animation(item, name)
        caption = f"<figcaption>{escape(name)}</figcaption>" if name else ""
        if drawn:
            yield f'<figure id="{figure_link(heading, number)[1:]}">{drawn}{caption}</figure>\n'


def _picture(picture: Picture, name: str) -> str:
    try:
        image = load_image(picture.path, picture.within)
    except ImageError:
        return ""
    image.thumbnail(picture.within, Image.Resampling.LANCZOS)
    memory = io.BytesIO()
    image.save(memory, "JPEG", quality=85)
    source = _data("image/jpeg", memory.getvalue())
    size = f'width="{image.width}" height="{image.height}"'
    drawn = f'<img src="{source}" {size} alt="{escape(name)}">'
    if not picture.link:
        return drawn
    link = picture.link if picture.link.startswith("#") else quote(os.fsencode(picture.link))
    return f'<a href="{link}">{drawn}</a>'


def _animation(animation: Animation, name: str) -> str:
    kind = ANIMATED[animation.path.suffix]
    source = _data(kind, animation.path.read_bytes())
    if kind.startswith("video"):
        return f'<video src="{source}" aria-label="{escape(name)}" controls loop></video>'
    return f'<img src="{source}" alt="{escape(name)}">'


def _data(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
