"""The texts of the page in English and in Chinese."""

from __future__ import annotations

from typing import Any, TypeVar

import gradio as gr

ENGLISH, CHINESE = LANGUAGES = ("en", "zh")
Pair = tuple[str, str]  # a text in English and in Chinese
Shown = TypeVar("Shown")


def text(pair: Pair, language: str) -> str:
    """One of the two texts."""
    return pair[LANGUAGES.index(language)]


def preferred_language(accepted: str) -> str:
    """The language of a browser that sends this header `Accept-Language`."""
    return CHINESE if accepted.strip().lower().startswith(CHINESE) else ENGLISH


class Texts:
    """The components of the page with their texts, so that all of them change at once."""

    def __init__(self) -> None:
        self.shown: list[tuple[Any, dict[str, Pair]]] = []

    def show(self, component: Shown, **pairs: Pair) -> Shown:
        """Give a component texts, such as `label` or `value`. Returns the component."""
        for name, pair in pairs.items():
            setattr(component, name, pair[0])
        self.shown.append((component, pairs))
        return component

    @property
    def components(self) -> list[Any]:
        """Everything that changes with the language."""
        return [component for component, _ in self.shown]

    def updates(self, language: str) -> list[Any]:
        """The updates of `components` for a language."""
        found: list[dict[str, Any]] = [
            {name: text(pair, language) for name, pair in pairs.items()} for _, pairs in self.shown
        ]
        return [gr.update(**texts) for texts in found]
