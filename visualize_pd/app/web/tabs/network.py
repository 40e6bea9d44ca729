"""The tab that shows the network: its layers, and what the channels of a layer see."""

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import gradio as gr

from ....network.layers.listing import ListedLayer
from ..live.channels import SHOWN, channels_of
from ..session import Session
from ..shell import Shell, html_part
from ..texts import PageError, Pair, text, translated
from .parts import charts
from .parts.channel_cards import Cards, cards_html, cards_of

NAME = "network"  # of the tab, in a session
TAB: Pair = ("Network", "网络")
MORE: Pair = ("Next channels", "下一组通道")
HEADINGS: tuple[Pair, ...] = (
    ("Layer", "层"),
    ("Type", "类型"),
    ("Output", "输出"),
    ("What it is", "含义"),
)
LAYERS: Pair = ("Layers of the network", "网络的层")
CHOOSE: Pair = (
    "Choose a layer to see its channels. The arrow keys move in the list.",
    "选择一层以查看其通道。方向键可在列表中移动。",
)
DEFAULT: Pair = ("the CAMs' layer", "CAM 使用的层")
NOT_CALLED: Pair = ("not called", "未被调用")
WHATS: tuple[Pair, ...] = (
    ("maps", "特征图"),
    ("maps, channels last", "特征图，通道在后"),
    ("tokens, {grid} after {n} more", "{grid} 个 token，前面另有 {n} 个"),
    ("tokens, {grid}", "{grid} 个 token"),
    ("windows, {size}, shifted by {n}", "{size} 的窗口，移动 {n}"),
    ("windows, {size}", "{size} 的窗口"),
    ("attention", "注意力"),
)
NO_LAYER: Pair = ("there is no such layer; choose another one", "没有这一层，请选择另一层")
FIRST_A_LAYER: Pair = ("choose a layer first", "请先选择一层")
NO_MAPS: Pair = (
    "layer {} returns {}, which are no maps of the image; choose another layer",
    "层 {} 的输出 {} 不是图像的特征图，请选择另一层",
)

# The arrow keys move the focus from one layer to the next. A click marks the layer.
ROWS = """
const buttons = () => [...element.querySelectorAll('button[data-layer]')];
const rove = (to) => buttons().forEach((each) => { each.tabIndex = each === to ? 0 : -1; });
element.addEventListener('click', (event) => {
  const button = event.target.closest('button[data-layer]');
  if (!button) return;
  buttons().forEach((each) => each.setAttribute('aria-pressed', each === button));
  rove(button);
  trigger('press', {layer: Number(button.dataset.layer)});
});
element.addEventListener('keydown', (event) => {
  const step = {ArrowDown: 1, ArrowUp: -1}[event.key];
  const all = buttons(), place = all.indexOf(document.activeElement);
  if (!step || place < 0) return;
  event.preventDefault();
  const next = all[Math.min(Math.max(place + step, 0), all.length - 1)];
  rove(next);
  next.focus();
});
"""


@dataclass
class Memory:
    """What this tab remembers of one person: the layer and its channels."""

    layer: int | None = None
    cards: Cards | None = None


class NetworkTab:
    """Adds the tab to the page."""

    def __init__(self, shell: Shell, layers: list[ListedLayer]):
        self.shell, self.classifier, self.layers = shell, shell.classifier, layers
        with shell.texts.show(gr.Tab(id=NAME), label=TAB), gr.Row():
            with gr.Column(scale=1, min_width=320):
                self.table = html_part("layers", ROWS)
            with gr.Column(scale=1, min_width=320):
                self.view = html_part("seen")
                self.more = shell.texts.show(gr.Button(elem_id="seen_more"), value=MORE)
        around: dict[str, Any] = {"show_progress_on": [self.view]}
        shell.on(self.table.press, self.press, [], [self.view], data=True, **around)
        shell.on(self.more.click, self.next_channels, [], [self.view], **around)
        shell.redraw(self.in_language, [self.table, self.view])

    def memory(self, session: Session) -> Memory:
        """What this tab remembers of a person."""
        return session.of_tab.setdefault(NAME, Memory())

    def press(self, session: Session, data: dict) -> Iterator[str]:
        """A person has clicked a layer, given by its number."""
        number = data.get("layer")
        if type(number) is not int or not 0 <= number < len(self.layers):
            raise PageError(NO_LAYER)
        yield from self._show(session, number, 0)

    def next_channels(self, session: Session) -> Iterator[str]:
        """Show the channels after those on the page."""
        memory = self.memory(session)
        if memory.layer is None:
            raise PageError(FIRST_A_LAYER)
        first = memory.cards.first + SHOWN if memory.cards is not None else 0
        yield from self._show(session, memory.layer, first)

    def _show(self, session: Session, number: int, first: int) -> Iterator[str]:
        layer, memory = self.layers[number], self.memory(session)
        memory.layer, memory.cards = number, None
        count = channels_of(layer)
        if not count:
            raise PageError(NO_MAPS, layer.name, layer.shape or layer.returned)
        for cards in cards_of(self.classifier, session, layer.name, first, count):
            memory.cards = cards
            yield self._cards(session)

    def _cards(self, session: Session) -> str:
        memory, language = self.memory(session), session.language
        if memory.cards is None or memory.layer is None:
            return charts.hint(text(CHOOSE, language))
        return cards_html(memory.cards, channels_of(self.layers[memory.layer]), language)

    def in_language(self, session: Session) -> list[Any]:
        """The table and the channels in the language of the person."""
        chosen = self.memory(session).layer
        return [layers_html(self.layers, chosen, session.language), self._cards(session)]


def layers_html(layers: list[ListedLayer], chosen: int | None, language: str) -> str:
    """The layers as a tree: a layer inside another one is moved to the right."""
    heads = "".join(f'<th scope="col">{text(pair, language)}</th>' for pair in HEADINGS)
    rows = []
    for number, layer in enumerate(layers):
        name, kind = html.escape(layer.name), html.escape(layer.kind)
        last = name.rpartition(".")[2]
        returns = "×".join(map(str, layer.shape[1:])) if layer.shape else layer.returned
        returns = text(NOT_CALLED, language) if returns == NOT_CALLED[0] else returns
        what = html.escape(translated(layer.what, WHATS, language))
        what += _mark(language) if layer.default else ""
        rows.append(
            f'<tr><td style="padding-left:{4 + 16 * layer.name.count(".")}px">'
            f'<button type="button" data-layer="{number}" title="{name}" '
            f'aria-label="{name}" aria-pressed='
            f'"{str(number == chosen).lower()}" tabindex="{0 if number == (chosen or 0) else -1}">'
            f"{last}</button></td><td>{kind}</td><td>{html.escape(returns)}</td><td>{what}</td></tr>"
        )
    label = text(LAYERS, language)
    return (
        f'<div class="layers" role="region" aria-label="{label}" tabindex="0"><table>'
        f"<thead><tr>{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _mark(language: str) -> str:
    return f" <mark>{text(DEFAULT, language)}</mark>"
