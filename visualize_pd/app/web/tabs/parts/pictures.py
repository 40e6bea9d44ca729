"""HTML of the tab that explains: the samples, the guesses, the maps, and the files to download."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image

from .....models.classifier import Classifier
from ...session import Picture
from ...texts import Pair, text
from ..explaining import Question, Square, drawn, flat, target_of

GUESSES = 8  # classes that are shown

PICTURE: Pair = ("Picture", "图片")
INSTEAD: Pair = ("rather than {}", "而不是 {}")
COVER: Pair = (
    "{}: click to cover a square; arrow keys move the mark, Enter covers",
    "{}：点击可遮住一个方块；方向键移动标记，回车键遮住",
)
SAMPLE: Pair = ("Sample {}", "示例 {}")
EMPTY: Pair = ("Choose a picture to begin.", "请先选择一张图片。")
POINT: Pair = (
    "Point at a map to read its value. Click to cover a square.",
    "把指针移到图上可读出数值，点击可遮住一个方块。",
)
WHY: Pair = ("Why {}?", "为什么是 {}？")
RATHER: Pair = ("Why {} rather than {}?", "为什么是 {} 而不是 {}？")

# A button sends the data of its attributes, as `{class: 281}`.
PRESS = """
element.addEventListener('click', (event) => {
  const button = event.target.closest('button[data-name]');
  if (button) trigger('press', {[button.dataset.name]: Number(button.dataset.value)});
});
"""
# `values` are the numbers of each map as 16-bit shares of the range from `low` to `high`.
MAPS = """
const kept = new Map();
const numbers = (each) => {
  if (!kept.has(each.data)) {
    const bytes = Uint8Array.from(atob(each.data), (letter) => letter.charCodeAt(0));
    if (kept.size > 16) kept.clear();
    kept.set(each.data, new Uint16Array(bytes.buffer));
  }
  return kept.get(each.data);
};
const read = (frame, x, y) => {
  const each = (props.values || [])[Number(frame.dataset.map)];
  const line = element.querySelector('.reading');
  if (!each || !line) return;
  const column = Math.min(each.width - 1, Math.floor(x * each.width));
  const row = Math.min(each.height - 1, Math.floor(y * each.height));
  const share = numbers(each)[row * each.width + column] / 65535;
  const value = each.low + share * (each.high - each.low);
  line.textContent = `${frame.dataset.title}  (${column}, ${row})  ${value.toPrecision(4)}`;
};
const place = (frame, event) => {
  const box = frame.getBoundingClientRect();
  const inside = (share) => Math.min(Math.max(share, 0), 1);
  return [inside((event.clientX - box.left) / box.width),
          inside((event.clientY - box.top) / box.height)];
};
element.addEventListener('pointermove', (event) => {
  const frame = event.target.closest('.frame');
  if (frame) read(frame, ...place(frame, event));
});
element.addEventListener('click', (event) => {
  const frame = event.target.closest('.frame');
  if (!frame || event.detail === 0) return;
  const [x, y] = place(frame, event);
  trigger('cover', {x, y});
});
const steps = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]};
element.addEventListener('keydown', (event) => {
  const frame = event.target.closest('.frame');
  if (!frame) return;
  const mark = frame.querySelector('.mark');
  const x = Number(mark.dataset.x), y = Number(mark.dataset.y);
  if (event.key === 'Enter' || event.key === ' ') {
    event.preventDefault();
    trigger('cover', {x, y});
  } else if (steps[event.key]) {
    event.preventDefault();
    const moved = [x + steps[event.key][0] / 20, y + steps[event.key][1] / 20];
    const [left, top] = moved.map((share) => Math.min(Math.max(share, 0), 1));
    mark.dataset.x = left;
    mark.dataset.y = top;
    mark.style.left = `${100 * left}%`;
    mark.style.top = `${100 * top}%`;
    read(frame, left, top);
  }
});
"""


def uri(data: bytes, kind: str) -> str:
    """A file as the address of its own content, so that nothing is kept on the disk."""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def picture_uri(picture: np.ndarray | Image.Image) -> str:
    """A picture as a JPEG in an address."""
    picture = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    data = io.BytesIO()
    picture.save(data, "JPEG", quality=90, subsampling=0)
    return uri(data.getvalue(), "image/jpeg")


def samples_html(pictures: Sequence[Image.Image], language: str) -> str:
    """Small pictures as buttons."""
    buttons = []
    for number, picture in enumerate(pictures):
        label = text(SAMPLE, language).format(number + 1)
        buttons.append(
            f'<button type="button" data-name="sample" data-value="{number}" aria-label="{label}">'
            f'<img src="{picture_uri(picture)}" alt=""></button>'
        )
    return f'<div class="samples">{"".join(buttons)}</div>'


def guesses_html(
    classifier: Classifier, picture: Picture | None, question: Question, language: str
) -> str:
    """The most likely classes as bars: one button explains a class, the other contrasts it."""
    if picture is None:
        return f'<p class="hint">{text(EMPTY, language)}</p>'
    target = target_of(question, picture)
    shown = list(picture.probabilities.argsort()[::-1][:GUESSES].tolist())
    shown += [each for each in (target, question.other) if each is not None and each not in shown]
    rows = []
    for index in shown:
        name, share = html.escape(classifier.class_name(index)), picture.probabilities[index]
        bar, after = f'<i style="width:{share:.2%}"></i>', ""
        if question.after is not None:
            after = f"{question.after[index]:.1%}"
            bar += f'<b style="width:{question.after[index]:.2%}"></b>'
        instead = html.escape(text(INSTEAD, language).format(classifier.class_name(index)))
        rows.append(
            f'<div class="guess"><button type="button" data-name="class" data-value="{index}" '
            f'aria-pressed="{str(index == target).lower()}"><span class="name">{name}</span>'
            f'<span class="share">{share:.1%}{f" → {after}" if after else ""}</span>'
            f'<span class="bar">{bar}</span></button>'
            f'<button type="button" class="other" data-name="other" data-value="{index}" '
            f'aria-pressed="{str(index == question.other).lower()}" title="{instead}" '
            f'aria-label="{instead}"{" disabled" if index == target else ""}>≠</button></div>'
        )
    return f'<div class="guesses">{"".join(rows)}</div>'


def heading(
    classifier: Classifier, picture: Picture | None, question: Question, language: str
) -> str:
    """The question that the maps answer."""
    if picture is None:
        return ""
    name = classifier.class_name(target_of(question, picture))
    if question.other is None:
        return text(WHY, language).format(name)
    return text(RATHER, language).format(name, classifier.class_name(question.other))


def maps_html(
    classifier: Classifier,
    picture: Picture | None,
    question: Question,
    language: str,
) -> str:
    """The picture and its maps, side by side."""
    if picture is None or question.answer is None:
        return ""
    methods = question.answer.methods
    several = [method.name for method in methods]
    frames = [_frame(picture, picture.shown, text(PICTURE, language), -1, question, language)]
    for number, (method, each) in enumerate(zip(methods, question.answer.maps)):
        colours = drawn(picture, each, question.colormap, question.opacity)
        title = method.column_title(several.count(method.name) > 1)
        frames.append(_frame(picture, colours, title, number, question, language))
    title = html.escape(heading(classifier, picture, question, language))
    return (
        f'<h2>{title}</h2><div class="maps">{"".join(frames)}</div>'
        f'<p class="reading">{text(POINT, language)}</p>'
    )


def _frame(
    picture: Picture,
    pixels: np.ndarray,
    title: str,
    number: int,
    question: Question,
    language: str,
) -> str:
    title = html.escape(title)
    label = text(COVER, language).format(title)
    square = "" if question.covered is None else _square(picture, question.covered)
    return (
        f'<figure><div class="frame" data-map="{number}" data-title="{title}" tabindex="0" '
        f'role="button" aria-label="{label}"><img src="{picture_uri(pixels)}" alt="">{square}'
        f'<span class="mark" data-x="0.5" data-y="0.5"></span></div>'
        f"<figcaption>{title}</figcaption></figure>"
    )


def _square(picture: Picture, square: Square) -> str:
    """The square that is covered, as shares of the picture on the page."""
    geometry = picture.view.geometry
    corners = np.array(square, dtype="float64")
    size = np.array(geometry.image, dtype="float64")
    if picture.view.picture is not None:
        left, top, right, bottom = geometry.box
        stretch = np.divide((right - left, bottom - top), geometry.inner)
        corners = (corners - np.tile(geometry.place[:2], 2)) * np.tile(stretch, 2)
        corners, size = corners + np.tile((left, top), 2), np.array(geometry.picture, "float64")
    x0, y0, x1, y1 = np.clip(corners / np.tile(size, 2), 0, 1) * 100
    place = f"left:{x0:.2f}%;top:{y0:.2f}%;width:{x1 - x0:.2f}%;height:{y1 - y0:.2f}%"
    return f'<span class="covered" style="{place}"></span>'


def values_of(picture: Picture | None, question: Question) -> list[dict]:
    """The numbers of each map, for the value under the pointer."""
    found = []
    if picture is None or question.answer is None:
        return []
    for each in question.answer.maps:
        values = flat(picture, each).astype("float64")
        low, high = float(values.min()), float(values.max())
        shares = (values - low) / ((high - low) or 1)
        found.append(
            {
                "width": values.shape[1],
                "height": values.shape[0],
                "low": low,
                "high": high,
                "data": base64.b64encode(np.round(shares * 65535).astype("<u2").tobytes()).decode(),
            }
        )
    return found


def downloads_html(files: Mapping[str, bytes], command: str) -> str:
    """Links to files, and the command that repeats them."""
    kinds = {".jpg": "image/jpeg", ".zip": "application/zip", ".yaml": "text/yaml"}
    links = []
    for name, data in files.items():
        kind = kinds.get(name[name.rfind(".") :], "application/octet-stream")
        shown = html.escape(name)
        links.append(f'<a download="{shown}" href="{uri(data, kind)}">{shown}</a>')
    return f'<div class="downloads">{"".join(links)}</div><pre tabindex="0">{command}</pre>'
