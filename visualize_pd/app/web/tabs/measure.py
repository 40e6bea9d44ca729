"""The tab that measures the maps: insertion and deletion curves, drawn while they are computed."""

from __future__ import annotations

import html
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import gradio as gr

from ....evaluate.faithfulness.curves import CURVES
from ..controls import number
from ..live.curves import STEPS, Drawn, live_curves
from ..session import Session
from ..shell import Shell, html_part
from ..texts import PageError, Pair, text
from . import explain
from .explaining import Question, target_of
from .parts import charts

NAME = "measure"  # of the tab, in a session
FEWEST_STEPS, MOST_STEPS = 5, 200
TAB: Pair = ("Measure", "评估")
RUN: Pair = ("Measure the maps", "评估这些图")
STOP: Pair = ("Stop, keep what is there", "停止并保留结果")
POINTS: Pair = ("Steps of a curve", "曲线的步数")
EMPTY: Pair = (
    "Explain a picture on the first tab. Then see here which map finds what the network uses: "
    "its pixels are put in or taken away, the most important ones first.",
    "先在第一页解释一张图片，再在这里比较哪种图找到了网络真正使用的内容："
    "从最重要的像素开始，逐步加入或移除像素。",
)
TITLES: dict[str, Pair] = {
    "insertion": ("Insertion: the higher, the better", "插入：越高越好"),
    "deletion": ("Deletion: the lower, the better", "删除：越低越好"),
}
SHARES: dict[str, Pair] = {
    "insertion": ("share of pixels put in", "已加入像素的比例"),
    "deletion": ("share of pixels taken away", "已移除像素的比例"),
}
AT: dict[str, Pair] = {
    "insertion": ("{}: {:.0%} of the pixels are put in", "{}：已加入 {:.0%} 的像素"),
    "deletion": ("{}: {:.0%} of the pixels are taken away", "{}：已移除 {:.0%} 的像素"),
}
FIRST: Pair = (
    "{}: the most important {:.0%} of the pixels",
    "{}：最重要的 {:.0%} 像素",
)
PROBABILITY: Pair = ("Probability of {}", "{} 的概率")
MAP: Pair = ("Map", "方法")
AREAS: Pair = ("Areas under the curves", "曲线下的面积")
INSERTION: Pair = ("Insertion", "插入")
DELETION: Pair = ("Deletion", "删除")
NO_MAPS: Pair = (
    "explain a picture on the first tab, and then measure its maps",
    "请先在第一页解释一张图片，再评估得到的图",
)


@dataclass
class Measuring:
    """The curves of one person: the maps, the class, and how far they have come."""

    titles: list[str]
    name: str
    stop: threading.Event = field(default_factory=threading.Event)
    at: Drawn | None = None
    ended: bool = False


class MeasureTab:
    """Adds the tab to the page."""

    def __init__(self, shell: Shell):
        self.shell, self.classifier = shell, shell.classifier
        show = shell.texts.show
        with show(gr.Tab(id=NAME), label=TAB):
            with gr.Row(elem_classes="end"):
                self.steps = show(
                    gr.Slider(FEWEST_STEPS, MOST_STEPS, STEPS, step=1, elem_id="points"),
                    label=POINTS,
                )
                self.run = show(gr.Button(variant="primary", elem_id="measure"), value=RUN)
                self.stop = show(gr.Button(elem_id="measure_stop"), value=STOP)
            self.view = html_part("curves")
        around: dict[str, Any] = {"show_progress_on": [self.view]}
        shell.on(self.run.click, self.measure, [self.steps], [self.view], **around)
        shell.stop(self.stop, self.halt)
        shell.redraw(self.in_language, [self.view])

    def measure(self, session: Session, steps: float) -> Iterator[str]:
        """Draw the curves of the maps on the tab that explains."""
        points, picture = number(POINTS, steps, FEWEST_STEPS, MOST_STEPS), session.picture
        question: Question | None = session.of_tab.get(explain.NAME)
        answer = None if question is None else question.answer
        if picture is None or question is None or answer is None:
            raise PageError(NO_MAPS)
        several = [method.name for method in answer.methods]
        maps = [
            (method.column_title(several.count(method.name) > 1), each.reduced[None])
            for method, each in zip(answer.methods, answer.maps)
        ]
        target = target_of(question, picture)
        run = Measuring([title for title, _ in maps], self.classifier.class_name(target))
        session.of_tab[NAME] = run
        for drawn in live_curves(self.classifier, picture.images, maps, target, points):
            run.at = drawn
            yield curves_html(run, session.language)
            if run.stop.is_set():
                break
        run.ended = True
        yield curves_html(run, session.language)

    def halt(self, session: Session) -> None:
        """End the curves of this person. What is drawn stays."""
        run: Measuring | None = session.of_tab.get(NAME)
        if run is not None and not run.ended:
            run.stop.set()
        else:
            session.stop()

    def in_language(self, session: Session) -> list[Any]:
        """The curves in the language of the person."""
        return [curves_html(session.of_tab.get(NAME), session.language)]


def curves_html(run: Measuring | None, language: str) -> str:
    """The picture while its pixels change, the curves, and the areas under those that are done."""
    if run is None or run.at is None:
        return charts.hint(text(EMPTY, language))
    at = run.at
    if run.ended:
        each = (
            (text(FIRST, language).format(title, share), picture)
            for title, (share, picture) in at.firsts.items()
        )
        pictures = "".join(charts.figure(picture, caption) for caption, picture in each)
        shown = f'<div class="firsts">{pictures}</div>'
    else:
        title, measure = at.at
        share = float(at.curves[at.at].shares[-1])
        caption = text(AT[measure], language).format(title, share)
        shown = charts.figure(at.picture, caption) + charts.progress(at.done, caption)
    return (
        f"{charts.heading(text(PROBABILITY, language).format(run.name))}"
        f'<div class="making"><div>{shown}{_areas(run, at, language)}</div>'
        f"<div>{''.join(_chart(run, at, each, language) for each in CURVES)}</div></div>"
    )


def _chart(run: Measuring, at: Drawn, measure: str, language: str) -> str:
    lines = []
    for title in run.titles:
        curve = at.curves.get((title, measure))
        points = ([], []) if curve is None else (curve.shares.tolist(), curve.scores[0].tolist())
        lines.append(charts.Line(title, *points))
    name, x_title = text(TITLES[measure], language), text(SHARES[measure], language)
    return charts.chart(lines, name, x_title, height=(0.0, 1.0))


def _areas(run: Measuring, at: Drawn, language: str) -> str:
    rows = []
    for title in run.titles:
        areas = (at.area(title, measure) for measure in CURVES)
        cells = "".join(f"<td>{'–' if area is None else f'{area:.3f}'}</td>" for area in areas)
        rows.append(f'<tr><th scope="row">{html.escape(title)}</th>{cells}</tr>')
    heads = "".join(
        f'<th scope="col">{text(each, language)}</th>' for each in (MAP, INSERTION, DELETION)
    )
    return (
        f'<table class="areas"><caption>{text(AREAS, language)}</caption>'
        f"<thead><tr>{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    )
