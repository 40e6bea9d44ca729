"""The tab that makes images: its components, and what happens when they are used."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
import paddle

from ....network.layers.listing import ListedLayer
from ..controls import LARGEST_SEED, number
from ..live.channels import SHOWN, channels_of
from ..live.generation import (
    FROM_A_PICTURE,
    MOST_STEPS,
    SUFFIX,
    Folder,
    Made,
    as_yaml,
    command_of,
    generation,
    keeps_files,
    packed,
    put_picture,
    recipe,
    run_values,
)
from ..session import Session
from ..shell import Shell, html_part
from ..texts import PageError, Pair, text
from .parts import charts
from .parts.channel_cards import Cards, cards_html, cards_of
from .parts.pictures import PRESS, downloads_html
from .parts.run import Running, run_html

NAME = "generate"  # of the tab, in a session
OBJECTIVES: dict[str, Pair] = {
    "class_image": ("A class", "类别"),
    "filter": ("A channel of a layer", "某一层的通道"),
    "deep_dream": ("A dream", "深度梦境"),
    "inversion": ("What a layer keeps", "某一层保留的内容"),
}
TAB: Pair = ("Generate", "生成")
WHAT: Pair = ("What to make", "生成什么")
CLASS: Pair = ("Class", "类别")
LAYER: Pair = ("Layer", "层")
CHANNEL: Pair = ("Channel", "通道")
STEPS: Pair = ("Steps", "步数")
SEED: Pair = ("Seed", "随机种子")
SHOW: Pair = ("Show channels", "显示通道")
MORE: Pair = ("Next channels", "下一组通道")
START: Pair = ("Generate", "生成")
STOP: Pair = ("Stop, keep what is there", "停止并保留结果")
FILES: Pair = ("Download: animation, picture, config, state", "下载：动画、图片、配置和状态")
EMPTY: Pair = (
    "Choose what to make, and press Generate. The image appears while it is made.",
    "选择要生成的内容，然后按“生成”。图像会在生成过程中逐步显示。",
)
OF_CHANNEL: Pair = ("channel {} of layer {}", "层 {1} 的通道 {0}")
OF_DREAM: Pair = ("what layer {} sees in the picture", "层 {} 在图片中看到的内容")
OF_INVERSION: Pair = ("what layer {} keeps of the picture", "层 {} 保留的图片内容")
GO_ON: Pair = (
    "Unpack the zip file. In its folder, this command goes on with the run:",
    "解压 zip 文件，在其文件夹中运行以下命令可继续：",
)
AGAIN: Pair = (
    "Unpack the zip file. In its folder, this command makes the same files again:",
    "解压 zip 文件，在其文件夹中运行以下命令可得到相同的文件：",
)
NO_CLASS: Pair = ("choose a class first", "请先选择一个类别")
NO_LAYER: Pair = ("choose a layer first", "请先选择一层")
NO_CHANNEL: Pair = ("there is no such channel; choose another one", "没有这个通道，请选择另一个")
NO_IMAGE: Pair = ("generate an image first", "请先生成一张图像")
NO_OBJECTIVE: Pair = ("choose what to make", "请选择生成什么")
NO_PICTURE: Pair = (
    "choose a picture on the tab Explain first",
    "请先在“解释”页选择一张图片",
)


@dataclass
class Memory:
    """What this tab remembers of one person."""

    run: Running | None = None
    cards: Cards | None = None


class GenerateTab:
    """Adds the tab to the page."""

    def __init__(self, shell: Shell, layers: list[ListedLayer], classes: int | None):
        self.shell, self.classifier = shell, shell.classifier
        self.layers = {layer.name: layer for layer in layers if layer.shape}
        self.maps = [name for name, layer in self.layers.items() if len(layer.shape or []) == 4]
        self.classes = classes or 0
        with shell.texts.show(gr.Tab(id=NAME), label=TAB), gr.Row():
            with gr.Column(scale=2, min_width=300):
                self._questions()
            with gr.Column(scale=5, min_width=320):
                self.view = html_part("making")
                self.channels = html_part("channels", PRESS)
                self.download = shell.texts.show(gr.Button(elem_id="make_files"), value=FILES)
                self.files = html_part("made", elem_classes="files")
        self._connect()

    def _questions(self) -> None:
        show = self.shell.texts.show
        first, start = next(iter(OBJECTIVES)), recipe("class_image")
        self.objective = show(
            gr.Radio([(pair[0], name) for name, pair in OBJECTIVES.items()], value=first,
                     elem_id="objective"),
            label=WHAT,
        )  # fmt: skip
        labels = self.classifier.labels or [f"class {n}" for n in range(self.classes)]
        names = [(f"{label} ({index})", index) for index, label in enumerate(labels)]
        known = start["target"] if start["target"] < len(names) else 0
        self.target = show(
            gr.Dropdown(names, value=known if names else None, elem_id="make_class"), label=CLASS
        )
        self.layer = show(
            gr.Dropdown(list(self.layers), visible=False, elem_id="make_layer"), label=LAYER
        )
        self.channel = show(
            gr.Number(0, precision=0, minimum=0, visible=False, elem_id="make_channel"),
            label=CHANNEL,
        )
        self.show = show(gr.Button(visible=False, elem_id="show_channels"), value=SHOW)
        self.more = show(gr.Button(visible=False, elem_id="more_channels"), value=MORE)
        self.steps = show(
            gr.Slider(1, MOST_STEPS, start["iterations"], step=1, elem_id="steps"), label=STEPS
        )
        self.seed = show(gr.Number(0, precision=0, elem_id="seed"), label=SEED)
        self.start = show(gr.Button(variant="primary", elem_id="make"), value=START)
        self.stop = show(gr.Button(elem_id="make_stop"), value=STOP)

    def _connect(self) -> None:
        on = self.shell.on
        asked = [self.objective, self.target, self.layer, self.channel, self.steps, self.seed]
        shown, length = [self.view, self.files], [self.steps, self.seed]
        of_filter = [self.channel, self.show, self.more, self.channels]
        fields = [self.target, self.layer, *of_filter, self.steps]
        on(self.objective.input, self.choose, [self.objective], fields, queued=False)
        large: dict[str, Any] = {"show_progress_on": [self.view]}
        small: dict[str, Any] = {"show_progress_on": [self.channels]}
        on(self.start.click, self.make, asked, shown, **large)
        on(self.channels.press, self.press, length, [self.channel, *shown], data=True, **large)
        on(self.show.click, self.sheet, [self.layer], [self.channels], **small)
        on(self.more.click, self.next_sheet, [self.layer], [self.channels], **small)
        on(self.download.click, self.prepare, [], [self.files], show_progress_on=[self.files])
        self.shell.stop(self.stop, self.halt)
        self.shell.redraw(self.in_language, [self.objective, self.view, self.channels, self.files])

    def memory(self, session: Session) -> Memory:
        """What this tab remembers of a person."""
        return session.of_tab.setdefault(NAME, Memory())

    def choose(self, session: Session, objective: str) -> list[Any]:
        """Show the fields of an objective, with the values of the project's config."""
        values = recipe(_known(objective))
        layers = self.maps if objective == "filter" else list(self.layers)
        layer: str | None = str(values.get("layer"))
        if layer not in layers:
            layer = layers[len(layers) // 2] if layers else None
        is_filter, is_class = objective == "filter", objective == "class_image"
        return [
            gr.update(visible=is_class),
            gr.update(visible=not is_class, choices=layers, value=None if is_class else layer),
            gr.update(visible=is_filter),
            gr.update(visible=is_filter),
            gr.update(visible=is_filter),
            gr.update(visible=is_filter),
            values["iterations"],
        ]

    def make(
        self,
        session: Session,
        objective: str,
        target: int | None,
        layer: str | None,
        channel: float | None,
        steps: float,
        seed: float | None,
    ) -> Iterator[list[Any]]:
        """Make the image, and show each frame that is written."""
        folder = Folder()
        chosen = {
            "iterations": number(STEPS, steps, 1, MOST_STEPS),
            "seed": number(SEED, seed, 0, LARGEST_SEED),
        }
        keys, what = self._subject(_known(objective), target, layer, channel)
        if objective in FROM_A_PICTURE:
            keys["init"] = _own_picture(session, folder.path, objective)
        values = run_values(objective, self.shell.config, **chosen, **keys)
        run = self.memory(session).run = Running(values, what, folder)
        yield from self._watch(session, run)

    def _subject(
        self, objective: str, target: int | None, layer: str | None, channel: float | None
    ) -> tuple[dict[str, Any], Pair]:
        """The keys that say what is made, and their names for a person."""
        if objective == "class_image":
            if type(target) is not int or not 0 <= target < self.classes:
                raise PageError(NO_CLASS)
            name = self.classifier.class_name(target)
            return {"target": target}, (name, name)
        if layer not in self.layers:
            raise PageError(NO_LAYER)
        if objective == "filter":
            last = channels_of(self.layers[layer]) - 1
            place = number(CHANNEL, channel, 0, last)
            names = (form.format(place, layer) for form in OF_CHANNEL)
            return {"layer": layer, "channel": place}, (next(names), next(names))
        english, chinese = OF_DREAM if objective == "deep_dream" else OF_INVERSION
        return {"layer": layer}, (english.format(layer), chinese.format(layer))

    def _watch(self, session: Session, run: Running) -> Iterator[list[Any]]:
        config = self.shell.config
        output = Path(config.output) if keeps_files(config) else run.folder.path / "images"
        device = paddle.get_device()
        for each in generation(
            run.values, self.classifier, run.folder.path, output, run.stop, device
        ):
            if isinstance(each, Made):
                run.made = each
            else:
                run.at = each
            yield [run_html(run, session.language), ""]

    def press(
        self, session: Session, data: dict, steps: float, seed: float | None
    ) -> Iterator[list[Any]]:
        """A person has clicked a channel: make its image."""
        place, cards = data.get("channel"), self.memory(session).cards
        if cards is None:
            raise PageError(NO_CHANNEL)
        for shown in self.make(session, "filter", None, cards.layer, place, steps, seed):
            yield [place, *shown]

    def halt(self, session: Session) -> None:
        """End the run of this person. What is there is written, as at its end."""
        run = self.memory(session).run
        if run is not None and run.made is None:
            run.stop.set()
        else:
            session.stop()

    def sheet(self, session: Session, layer: str | None, first: int = 0) -> Iterator[str]:
        """Show some channels of a layer, with small images that excite them."""
        if layer not in self.layers:
            raise PageError(NO_LAYER)
        memory, count = self.memory(session), channels_of(self.layers[layer])
        for cards in cards_of(self.classifier, session, layer, first, count):
            memory.cards = cards
            yield self._cards(session)

    def next_sheet(self, session: Session, layer: str | None) -> Iterator[str]:
        """Show the channels after those on the page."""
        cards = self.memory(session).cards
        first = cards.first + SHOWN if cards is not None and cards.layer == layer else 0
        yield from self.sheet(session, layer, first)

    def _cards(self, session: Session) -> str:
        cards = self.memory(session).cards
        count = channels_of(self.layers[cards.layer]) if cards else 0
        return cards_html(cards, count, session.language, press=True)

    def prepare(self, session: Session) -> str:
        """The files to download, and the command that repeats the run or goes on with it."""
        run = self.memory(session).run
        if run is None or run.made is None:
            raise PageError(NO_IMAGE)
        run.prepared, made, name = True, run.made, run.made.name
        command = command_of(name, resume=not made.complete)
        files = {
            f"{name}{SUFFIX}": (made.folder / f"{name}{SUFFIX}").read_bytes(),
            f"{name}.png": (made.folder / f"{name}.png").read_bytes(),
            f"{name}.yaml": as_yaml(run.values, command).encode(),
            f"{name}.zip": packed(run.values, made, run.folder.path),
        }
        about = text(AGAIN if made.complete else GO_ON, session.language)
        return charts.hint(about) + downloads_html(files, command)

    def in_language(self, session: Session) -> list[Any]:
        """What changes with the language and is no text of a component."""
        language, run = session.language, self.memory(session).run
        choices = [(text(pair, language), name) for name, pair in OBJECTIVES.items()]
        shown = run_html(run, language) if run is not None else charts.hint(text(EMPTY, language))
        files = self.prepare(session) if run is not None and run.prepared else ""
        return [gr.update(choices=choices), shown, self._cards(session), files]


def _known(objective: str) -> str:
    if objective not in OBJECTIVES:
        raise PageError(NO_OBJECTIVE)
    return objective


def _own_picture(session: Session, folder: Path, objective: str) -> str:
    if session.picture is None:
        raise PageError(NO_PICTURE)
    return put_picture(folder, session.picture.data, session.picture.name, objective)
