"""The channels of a layer as cards: what each sees in the picture, beside what excites it most."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from .....core.errors import StoppedError, VisualizeError
from .....core.text import printable
from .....models.classifier import Classifier
from ...live.channels import SHOWN, Activations, activations, exciting_images
from ...session import Session
from ...texts import Pair, text
from . import charts
from .pictures import picture_uri

CHANNEL: Pair = ("channel {}", "通道 {}")
SEES: Pair = ("what channel {} sees in the picture", "通道 {} 在图片中看到的内容")
EXCITES: Pair = ("what excites channel {} most", "最能激活通道 {} 的图像")
GENERATE: Pair = ("{}: make a large image", "{}：生成大图")
TITLE: Pair = ("Layer {}, channels {} to {} of {}", "层 {}，通道 {} 至 {}，共 {} 个")
BESIDE: Pair = (
    "On the left: what a channel sees in the picture. On the right: an image that excites it most.",
    "左：该通道在图片中看到的内容。右：最能激活该通道的图像。",
)
ONLY: Pair = (
    "Images that excite each channel most. Choose a picture on the tab Explain to see also what "
    "each channel sees in it.",
    "最能激活各通道的图像。在“解释”页选择图片后，还会显示各通道在图片中看到的内容。",
)


class Cards(NamedTuple):
    """Some channels of a layer, the first of them `first`. `images` are those that excite them.

    `note` is the sentence that says why there are no such images.
    """

    layer: str
    first: int
    numbers: Sequence[int]
    seen: Activations | None
    images: np.ndarray | None = None
    note: str = ""


def cards_of(
    classifier: Classifier, session: Session, layer: str, first: int, channels: int
) -> Iterator[Cards]:
    """The cards of a layer, first what is seen, then with images that get better step by step.

    `channels` is the number of its channels. Raises `ConfigError` for a layer without maps.
    """
    first = first if 0 <= first < channels else 0
    numbers = range(first, min(first + SHOWN, channels))
    seen = None
    if session.picture is not None:
        seen = activations(classifier, layer, session.picture.images, first, len(numbers))
    cards = Cards(layer, first, numbers, seen)
    yield cards
    try:
        for number, images in enumerate(exciting_images(classifier, layer, list(numbers))):
            if number:  # at first they are noise
                cards = cards._replace(images=images)
                yield cards
    except VisualizeError as error:
        if seen is None or isinstance(error, StoppedError):
            raise
        yield cards._replace(note=printable(error))


def cards_html(cards: Cards | None, channels: int, language: str, press: bool = False) -> str:
    """The cards. With `press` each is a button that chooses its channel."""
    if cards is None:
        return ""
    ends = (cards.layer, cards.numbers[0], cards.numbers[-1], channels)
    title = charts.heading(text(TITLE, language).format(*ends))
    note = cards.note or text(BESIDE if cards.seen is not None else ONLY, language)
    shown = "".join(_card(cards, place, language, press) for place in range(len(cards.numbers)))
    return f'{title}<div class="cards">{shown}</div>{charts.hint(note)}'


def _card(cards: Cards, place: int, language: str, press: bool) -> str:
    number = cards.numbers[place]
    name = text(CHANNEL, language).format(number)
    pictures = []
    if cards.seen is not None:
        pictures.append((cards.seen.pictures[place], SEES, "coarse"))
        name += f" · {cards.seen.largest[place]:.3g}"
    if cards.images is not None:
        pictures.append((cards.images[place], EXCITES, "made"))
    shown = "".join(
        f'<img class="{kind}" src="{picture_uri(pixels)}" '
        f'alt="{html.escape(text(what, language).format(number))}">'
        for pixels, what, kind in pictures
    )
    body = f'<span class="pair">{shown}</span><span>{html.escape(name)}</span>'
    if not press:
        return f'<div class="card">{body}</div>'
    label = html.escape(text(GENERATE, language).format(name))
    return (
        f'<button type="button" class="card" data-name="channel" data-value="{number}" '
        f'aria-label="{label}">{body}</button>'
    )
