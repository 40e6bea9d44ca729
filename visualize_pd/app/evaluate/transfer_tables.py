"""The tables that `evaluate transfer` prints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ...evaluate.generated import PICTURE_MEASURES, Named
from ...models.classifier import Classifier

NAME, JUDGE, CELL = 26, 27, 12  # widths of columns
PICTURE_COLUMNS = {"distance": ".2f", **dict.fromkeys(PICTURE_MEASURES, ".3f"), "time": ".2f"}


def named_table(recipe: str, named: Sequence[Named], judges: Sequence[Classifier]) -> Iterator[str]:
    """The rank and the probability that each judge gives to the class of each picture."""
    yield f"{recipe}: rank and probability of the class"
    yield _cell("class", NAME) + "".join(f"{_cut(judge.name, JUDGE):>{JUDGE}}" for judge in judges)
    for each in named:
        cells = (
            f"{each.ranks[judge.name] + 1:>{JUDGE - 10}}{each.probabilities[judge.name]:>10.3f}"
            for judge in judges
        )
        yield _cell(judges[0].class_name(each.target), NAME) + "".join(cells)


def judge_table(rows: Sequence[Mapping[str, Any]], judges: Sequence[Classifier]) -> Iterator[str]:
    """How often each judge recognises the pictures of each recipe."""
    yield " " * NAME + "".join(f"{_cut(judge.name, JUDGE):>{JUDGE}}" for judge in judges)
    yield _cell("recipe", NAME) + f"{'first':>7}{'top 5':>7}{'probability':>13}" * len(judges)
    for row in rows:
        cells = (
            f"{row[f'first_{judge.name}']:>7.0%}{row[f'top5_{judge.name}']:>7.0%}"
            f"{row[f'probability_{judge.name}']:>13.3f}"
            for judge in judges
        )
        yield _cell(row["recipe"], NAME) + "".join(cells)


def picture_table(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """How the pictures look. A dash is a number that does not exist."""
    yield _cell("recipe", NAME) + "".join(f"{key:>{CELL}}" for key in PICTURE_COLUMNS)
    for row in rows:
        cells = (_number(row.get(key), style) for key, style in PICTURE_COLUMNS.items())
        yield _cell(row["recipe"], NAME) + "".join(cells)


def _number(value: float | None, style: str) -> str:
    return f"{'-' if value is None else format(value, style):>{CELL}}"


def _cell(text: str, width: int) -> str:
    return f"{_cut(text, width):{width}}"


def _cut(text: str, width: int) -> str:
    return text if len(text) < width else text[: width - 2] + "…"
