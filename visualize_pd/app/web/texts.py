"""The texts of the page in English and in Chinese."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, TypeVar

import gradio as gr

from ...core.errors import VisualizeError

ENGLISH, CHINESE = LANGUAGES = ("en", "zh")
Pair = tuple[str, str]  # a text in English and in Chinese
Shown = TypeVar("Shown")


def text(pair: Pair, language: str) -> str:
    """One of the two texts."""
    return pair[LANGUAGES.index(language)]


class PageError(VisualizeError):
    """An error on the page. `pair` is its sentence with places for `values`, as in `str.format`.

    A value that is a `Pair` is itself in both languages.
    """

    def __init__(self, pair: Pair, *values: Any):
        self.texts = [
            sentence.format(*(each[n] if isinstance(each, tuple) else each for each in values))
            for n, sentence in enumerate(pair)
        ]
        super().__init__(self.texts[0])


# The sentences of the package that people meet most often, with a name for each part that varies.
SENTENCES: tuple[Pair, ...] = (
    ("{file} is not a picture that Pillow can read", "{file} 不是 Pillow 能读取的图片"),
    ("cannot read {file}: {reason}", "无法读取 {file}：{reason}"),
    ("{file} has over {n} pixels; make it smaller", "{file} 超过 {n} 像素，请先缩小"),
    ("{file} is {size}; at least {least} is needed", "{file} 只有 {size}，至少需要 {least}"),
    (
        "{file} is an EPS file, which is a program and is not run; save it as .png",
        "{file} 是 EPS 文件，它是一段程序，不会被运行；请另存为 .png",
    ),
    (
        "images of {h} × {w} pixels are too small for the network: its {layer} returns nothing; "
        "take a larger size",
        "{h} × {w} 像素的图像对网络来说太小：{layer} 层没有输出；请换更大的尺寸",
    ),
    (
        "the computation was stopped; start it again if you need its result",
        "计算已停止；如果需要结果，请重新开始",
    ),
    ("{key} must be at most {most}, not {value}", "{key} 最大为 {most}，不能是 {value}"),
    (
        "{key} must be a whole number of at least {least}, not {value}",
        "{key} 必须是不小于 {least} 的整数，不能是 {value}",
    ),
)


def sentence_of(error: VisualizeError, language: str) -> str:
    """The sentence of an error in a language, or else in English."""
    if isinstance(error, PageError):
        return error.texts[LANGUAGES.index(language)]
    return translated(str(error), SENTENCES, language)


def translated(sentence: str, known: Sequence[Pair], language: str) -> str:
    """An English sentence in a language, by the one of `known` that it fits, or else as it is."""
    for english, other in known if language == CHINESE else ():
        parts = re.split(r"{(\w+)}", english)  # text, name, text …
        pattern = "".join(
            f"(?P<{part}>.+)" if number % 2 else re.escape(part)
            for number, part in enumerate(parts)
        )
        if found := re.fullmatch(pattern, sentence):
            return other.format(**found.groupdict())
    return sentence


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


# The beginnings of the texts that Gradio itself writes, and what stands there in their place.
GRADIO: tuple[tuple[str, Pair], ...] = (
    ("queue: ", ("queue: ", "排队：")),
    ("processing", ("computing", "计算中")),
    (
        "Drop an image file here to upload",
        ("Drop a picture here or click to choose one", "拖入图片 或 点击选择"),
    ),
    ("Drop Image Here", ("Drop a picture here", "拖入图片")),
    ("将图像拖放到此处", ("Drop a picture here", "拖入图片")),
    ("- or -", ("or", "或")),
    ("Click to Upload", ("click to choose one", "点击选择")),
    ("点击上传", ("click to choose one", "点击选择")),
    ("A picture", ("A picture", "图片")),
    ("More tabs", ("More tabs", "更多标签页")),
    ("Loading", ("Loading", "加载中")),
    ("common.complete", ("complete", "完成")),
    ("File upload", ("Choose a file", "选择文件")),
    ("Upload file", ("Choose a file", "选择文件")),
    ("Capture from camera", ("Use the camera", "用摄像头拍摄")),
    ("Paste from Clipboard", ("Paste", "从剪贴板粘贴")),
    ("Paste from clipboard", ("Paste", "从剪贴板粘贴")),
    ("grant webcam access", ("Click to use the camera", "点击使用摄像头")),
    ("capture photo", ("Take the picture", "拍照")),
    ("Empty value", ("Empty", "空")),
    ("Error", ("Error", "错误")),
    ("Click to Access Webcam", ("Click to use the camera", "点击使用摄像头")),
    ("Reset to default value", ("Reset to default value", "恢复默认值")),
    ("number input for ", ("number input for ", "数值：")),
    ("range slider for ", ("range slider for ", "滑块：")),
    ("Clear", ("Clear", "清除")),
    ("Remove", ("Remove", "移除")),
    ("Close", ("Close", "关闭")),
)
