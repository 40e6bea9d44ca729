"""The tab that explains a picture: its components, and what happens when they are used."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import gradio as gr

from ....attribution.methods import METHODS, TITLES
from ...drawing import COLORMAPS
from ..controls import controls_of, facts_of, number
from ..session import Picture, Session
from ..shell import Shell, html_part
from ..texts import ENGLISH, PageError, Pair, text
from . import explaining
from .explaining import Question
from .parts import pictures
from .uploads import as_path, find_samples, taken, thumbnail

NAME = "explain"  # of the tab, in a session
TAB: Pair = ("Explain", "解释")
NO_PICTURE: Pair = ("choose a picture first", "请先选择一张图片")
NO_SAMPLE: Pair = ("there is no such sample; choose another one", "没有这个示例，请选择另一个")
NO_CLASS: Pair = ("there is no such class; choose another one", "没有这个类别，请选择另一个")
NO_COLOURS: Pair = ("there are no such colours; choose others", "没有这种颜色，请选择其他颜色")
OPACITY: Pair = ("Opacity", "不透明度")
SIDE: Pair = ("Square size", "方块大小")
SIDES = 0.05, 0.5  # of a covered square, as shares of the image
AUTO: Pair = ("automatic", "自动")
NO_PLACE: Pair = ("click on a place in the picture", "请点击图片中的一个位置")


class ExplainTab:
    """Adds the tab to the page."""

    def __init__(self, shell: Shell):
        self.shell, self.classifier = shell, shell.classifier
        facts = shell.desk.run(Session(), lambda: facts_of(shell.classifier))
        self.classes, self.layers = facts
        methods = shell.config.compare or [shell.config.method]
        self.start = [each if isinstance(each, dict) else {"name": each} for each in methods]
        explaining.methods_of(self._first_question(), self.layers)  # refused before the page opens
        self.samples = find_samples(shell.config.images)
        self.small = [thumbnail(path) for path in self.samples]
        with (
            shell.texts.show(gr.Tab(id=NAME), label=("Explain", "解释")),
            gr.Row(elem_id="explain"),
        ):
            with gr.Column(scale=3, min_width=300):
                self._picture()
            with gr.Column(scale=7, min_width=320):
                self._maps()
        self._connect()

    def _picture(self) -> None:
        show = self.shell.texts.show
        sources: list[Any] = ["upload", "clipboard", "webcam"]
        show(
            gr.Markdown(elem_classes="first"),
            value=("**A picture:** drop it, paste it or take one", "**图片**：拖入、粘贴或拍摄"),
        )
        # Its own texts stay as they are: with an update Gradio would make it anew.
        self.upload = as_path(
            gr.Image(
                sources=sources,
                label="A picture",
                show_label=False,
                height=190,
                elem_id="upload",
                elem_classes="first",
                buttons=[],
            )
        )
        self.thumbnails = html_part("samples", pictures.PRESS, elem_classes="first")
        self.guesses = html_part("guesses", pictures.PRESS)
        labels = self.classifier.labels or [f"class {index}" for index in range(self.classes)]
        names = [(f"{label} ({index})", index) for index, label in enumerate(labels)]
        self.search = show(
            gr.Dropdown(names[: self.classes], value=None, elem_id="search"),
            label=("Any class", "任意类别"),
            info=("type a part of its name", "输入名称的一部分"),
        )

    def _maps(self) -> None:
        show = self.shell.texts.show
        choices = [(TITLES.get(name, name.replace("_", " ")), name) for name in METHODS]
        choices = [(name if title == "gradients" else title, name) for title, name in choices]
        with gr.Row(elem_classes="end"):
            self.methods = show(
                gr.Dropdown(
                    choices,
                    value=[each["name"] for each in self.start],
                    multiselect=True,
                    max_choices=explaining.MOST_METHODS,
                    scale=4,
                    elem_id="methods",
                ),
                label=("Methods, side by side", "方法（并排比较）"),
            )
            self.run = show(gr.Button(variant="primary", elem_id="run"), value=("Explain", "解释"))
            self.stop = show(gr.Button(elem_id="stop"), value=("Stop", "停止"))
        self.maps = html_part("maps", pictures.MAPS, values=[], elem_classes="second")
        with gr.Row(elem_classes="controls"):
            self.opacity = show(gr.Slider(0, 1, 0.5, step=0.05, elem_id="opacity"), label=OPACITY)
            self.colours = show(
                gr.Dropdown(
                    _colour_choices(ENGLISH),
                    value=self.shell.config.colormap,
                    elem_id="colours",
                ),
                label=("Colours", "颜色"),
            )
            self.side = show(
                gr.Slider(*SIDES, 0.2, step=0.05, elem_id="side"),
                label=SIDE,
            )
        self.uncover = show(
            gr.Button(size="sm", elem_id="uncover"), value=("Uncover the square", "取消遮挡")
        )
        with show(gr.Accordion(open=False, elem_id="options"), label=("Options", "选项")):
            self._options()
        self.download = show(
            gr.Button(elem_id="download"),
            value=("Download: figure, raw map, config", "下载：图、原始数据和配置"),
        )
        self.files = html_part("files", elem_classes="files")

    def _options(self) -> None:
        """The controls of the methods that are chosen. They are made anew when others are."""

        @gr.render(inputs=[self.shell.state, self.methods])
        def render(session: Session, methods: list[str]) -> None:
            question = self.question(session)
            for method in methods or []:
                chosen = question.options.get(method, {})
                with gr.Group():
                    gr.Markdown(f"**{TITLES.get(method, method)}** · `{method}`")
                    with gr.Row(elem_classes="controls"):
                        for control in controls_of(method, list(self.layers)):
                            value = chosen.get(control.name, control.default)
                            component = control.component(value, self.layers)
                            self.shell.on(
                                component.change,
                                self._setter(method, control.name),
                                [component],
                                queued=False,
                            )

    def _setter(self, method: str, option: str) -> Any:
        def choose(session: Session, value: Any) -> None:
            self.question(session).options.setdefault(method, {})[option] = value

        return choose

    def _connect(self) -> None:
        on, methods = self.shell.on, self.methods
        shown = [self.guesses, self.maps]
        answer = [*shown, self.files]
        around: dict[str, Any] = {"show_progress_on": [self.maps]}
        brought = on(self.upload.input, self.bring, [self.upload], [self.upload], queued=False)
        on(brought.success, self.choose, [methods], answer, **around)
        on(self.thumbnails.press, self.sample, [methods], answer, data=True, **around)
        on(self.guesses.press, self.press, [methods], answer, data=True, **around)
        on(self.search.input, self.any_class, [self.search, methods], answer, **around)
        on(self.run.click, self.explain, [methods], answer, **around)
        on(methods.input, self.explain, [methods], answer, **around)
        on(self.maps.cover, self.cover, [self.side], shown, data=True)
        on(self.download.click, self.prepare, [], [self.files], show_progress_on=[self.files])
        self.shell.stop(self.stop, Session.stop)
        on(self.uncover.click, self.show_all, [], shown, queued=False)
        for event in (self.opacity.input, self.colours.input):
            look = [self.opacity, self.colours]
            on(event, self.recolour, look, [self.maps], queued=False, trigger_mode="always_last")
        self.shell.redraw(self.in_language, [self.thumbnails, *shown, self.colours])

    def question(self, session: Session) -> Question:
        """What the person asks on this tab."""
        if NAME not in session.of_tab:
            session.of_tab[NAME] = self._first_question()
        return session.of_tab[NAME]

    def _first_question(self) -> Question:
        options = {
            each["name"]: {key: value for key, value in each.items() if key != "name"}
            for each in self.start
        }
        return Question(list(options), options, colormap=self.shell.config.colormap)

    def bring(self, session: Session, upload: Any) -> None:
        """A person has brought a file. It is read and removed, before it waits in the queue."""
        if upload is not None:  # None comes when a person changes from the camera to files
            session.brought = taken(*upload)

    def choose(self, session: Session, methods: list[str]) -> list[Any]:
        """Open the file that a person has brought."""
        if session.brought is None:
            return [gr.skip()] * 3
        (name, data), session.brought = session.brought, None
        with tempfile.TemporaryDirectory(prefix="visualize_pd_") as folder:
            path = Path(folder) / explaining.safe_name(name)
            path.write_bytes(data)
            return self._look_at(session, path, name, methods)

    def sample(self, session: Session, data: dict, methods: list[str]) -> list[Any]:
        """A person has chosen one of the samples, by its number."""
        number = data.get("sample")
        if type(number) is not int or not 0 <= number < len(self.samples):
            raise PageError(NO_SAMPLE)
        return self._look_at(session, self.samples[number], "", methods)

    def _look_at(self, session: Session, path: Path, name: str, methods: list[str]) -> list[Any]:
        picture = explaining.load_picture(self.classifier, self.shell.desk, path, name)
        self.shell.desk.drop(session.picture)
        session.picture = picture
        question = self.question(session)
        question.target = question.other = None
        return self.explain(session, methods)

    def press(self, session: Session, data: dict, methods: list[str]) -> list[Any]:
        """A person has clicked a class, or the class that it is compared with."""
        question, picture = self.question(session), _picture_of(session)
        before = question.target, question.other
        key = "other" if "other" in data else "class"
        index = data.get(key)
        if type(index) is not int or not 0 <= index < len(picture.probabilities):
            raise PageError(NO_CLASS)
        if key == "other":
            question.other = None if question.other == index else index
        else:
            best = int(picture.probabilities.argmax())
            question.target = None if index == best else index
            question.other = None if question.other == index else question.other
        return self._explain_or(session, methods, before)

    def any_class(self, session: Session, index: int | None, methods: list[str]) -> list[Any]:
        """A person has found a class by its name."""
        if index is None:
            return [gr.skip()] * 3
        return self.press(session, {"class": index}, methods)

    def _explain_or(self, session: Session, methods: list[str], before: tuple) -> list[Any]:
        question = self.question(session)
        try:
            return self.explain(session, methods)
        except BaseException:
            question.target, question.other = before  # those of the maps on the page
            raise

    def explain(self, session: Session, methods: list[str]) -> list[Any]:
        """Compute the maps, and show them with the guesses."""
        picture, question = _picture_of(session), self.question(session)
        question.methods = list(methods or [])
        question.answer = explaining.answer(
            self.classifier, self.shell.desk, picture, question, self.layers
        )
        question.covered = question.after = None
        return [*self._drawn(session), ""]

    def _drawn(self, session: Session) -> list[Any]:
        picture, question, language = session.picture, self.question(session), session.language
        guesses = pictures.guesses_html(self.classifier, picture, question, language)
        values = pictures.values_of(picture, question)
        return [guesses, gr.update(value=self._maps_html(session), values=values)]

    def _maps_html(self, session: Session) -> str:
        question = self.question(session)
        return pictures.maps_html(self.classifier, session.picture, question, session.language)

    def recolour(self, session: Session, opacity: float, colormap: str) -> Any:
        """Draw the maps in other colours. Nothing is computed."""
        question = self.question(session)
        if colormap not in ("auto", *COLORMAPS):
            raise PageError(NO_COLOURS)
        question.opacity = number(OPACITY, opacity, 0, 1, whole=False)
        question.colormap = colormap
        return self._maps_html(session) if session.picture is not None else gr.skip()

    def cover(self, session: Session, data: dict, share: float) -> list[Any]:
        """Cover a square, and show the probabilities with it."""
        picture, question = _picture_of(session), self.question(session)
        x, y = data.get("x"), data.get("y")
        if not isinstance(x, (int, float)) or not isinstance(y, (int, float)):
            raise PageError(NO_PLACE)
        whole, share = picture.view.picture is not None, number(SIDE, share, *SIDES, whole=False)
        square = explaining.square_at(picture.view.geometry, x, y, share, whole)
        question.after = explaining.covered(self.classifier, picture, square)
        question.covered = square
        return self._drawn(session)

    def show_all(self, session: Session) -> list[Any]:
        """Uncover the square."""
        question = self.question(session)
        question.covered = question.after = None
        return self._drawn(session)

    def prepare(self, session: Session) -> str:
        """The files to download: those that the script writes, and the config that repeats them."""
        picture = _picture_of(session)
        config = explaining.config_of(self.shell.config, picture, self.question(session))
        files = explaining.results(self.classifier, picture, config)
        whole = explaining.archive(picture, config, files)
        text = explaining.config_text(config).encode()
        named = {**files, explaining.CONFIG: text, explaining.ARCHIVE: whole}
        return pictures.downloads_html(named, explaining.COMMAND)

    def in_language(self, session: Session) -> list[Any]:
        """The samples, the guesses, the maps and the colours in the language of the person."""
        language, choices = session.language, _colour_choices(session.language)
        samples = pictures.samples_html(self.small, language)
        return [samples, *self._drawn(session), gr.update(choices=choices)]


def _picture_of(session: Session) -> Picture:
    if session.picture is None:
        raise PageError(NO_PICTURE)
    return session.picture


def _colour_choices(language: str) -> list[tuple[str, str]]:
    return [(text(AUTO, language), "auto"), *((name, name) for name in COLORMAPS)]
