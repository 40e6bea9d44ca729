"""Write the pages that are generated from the code: `python docs/make_tables.py`.

`keys.md` comes from the dataclasses of the configs, `methods.md` from the signatures and docstrings
of the methods. `keys.zh.md` and `methods.zh.md` are the same in Chinese, with the texts of
`translations.zh.yaml`. A test compares the pages with what this file would write.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

from visualize_pd import METHODS
from visualize_pd.app.config import schema
from visualize_pd.core.checks import options_of

HERE = Path(__file__).parent
GROUP = object()  # in place of a default
Translate = Callable[[str, str, str], str]

ENGLISH = {
    "keys": "# Config keys",
    "keys_about": "Any key can be replaced on the command line with `-o key=value`, with dots into "
    "groups (`-o priors.shift=0`), as often as you like. Paths are relative to the folder you are "
    "in. `weights/` is also looked for in the clone. A default holds where a config leaves the key "
    "out; the shipped configs set many keys. This page is generated from the code.",
    "keys_head": "| key | default | meaning |",
    "every": "## Every config",
    "method_1": "## Method 1: explain",
    "method_2": "## Method 2: generate",
    "concepts": "## concepts",
    "evaluate": "## evaluate methods",
    "localise": "## evaluate localise",
    "sanity": "## evaluate sanity",
    "methods": "# Methods and their options",
    "methods_about": "A config names a method (`method: grad_cam`), or a group with its options "
    "(`method: {name: grad_cam, aug_smooth: true}`). `-o method.aug_smooth=true` sets one option. "
    "In Python every method is a function `method(network, images, targets=None, **options)`. This "
    "page is generated from the code.",
    "options_head": "| option | default |",
    "none": "none",
}


def keys_page(words: dict[str, str], translate: Translate) -> str:
    """The tables of all keys."""
    run = {field.name for field in dataclasses.fields(schema.RunConfig)} | {"model"}
    parts: list[tuple[str, type, set[str]]] = [
        ("method_1", schema.ExplainConfig, run),
        ("method_2", schema.GenerateConfig, run),
        ("concepts", schema.ConceptsConfig, run),
        ("evaluate", schema.EvaluateConfig, run),
        ("localise", schema.LocaliseConfig, run),
        ("sanity", schema.SanityConfig, run),
    ]
    lines = [words["keys"], "", words["keys_about"], ""]
    for title, kind, left_out in parts:
        if title == "method_1":
            every = [key for key in _keys(kind) if key[0].partition(".")[0] in run]
            lines += _key_table(words, words["every"], "every", every, translate)
        own = [key for key in _keys(kind) if key[0].partition(".")[0] not in left_out]
        lines += _key_table(words, words[title], title, own, translate)
    return "\n".join(lines).rstrip() + "\n"


def _keys(kind: type, prefix: str = "") -> Iterator[tuple[str, Any, str]]:
    """The name, the default and the meaning of each key, those in groups with a dot."""
    hints, default = typing.get_type_hints(kind), kind()
    for field in dataclasses.fields(kind):
        name = prefix + (field.metadata["name"] or field.name)
        if dataclasses.is_dataclass(hints[field.name]):
            yield name, GROUP, field.metadata["meaning"]
            yield from _keys(hints[field.name], f"{name}.")
        else:
            yield name, getattr(default, field.name), field.metadata["meaning"]


def _key_table(
    words: dict[str, str],
    heading: str,
    part: str,
    keys: list[tuple[str, Any, str]],
    translate: Translate,
) -> list[str]:
    rows = [
        f"| `{name}` | {_shown(default, words)} | {translate(part, name, meaning)} |"
        for name, default, meaning in keys
    ]
    return [heading, "", words["keys_head"], "| --- | --- | --- |", *rows, ""]


def methods_page(words: dict[str, str], translate: Translate) -> str:
    """Every method with what its docstring says, and its options."""
    lines = [words["methods"], "", words["methods_about"], ""]
    for name, method in METHODS.items():
        about = inspect.getdoc(method) or ""
        options = options_of(method)
        options.pop("return_gap", None)  # for calls in Python
        lines += [f"## {name}", "", translate("methods", name, about), ""]
        lines += [words["options_head"], "| --- | --- |"]
        lines += [
            f"| `{option}` | {_shown(default, words)} |" for option, default in options.items()
        ]
        lines += [""]
    return "\n".join(lines).rstrip() + "\n"


def _shown(default: Any, words: dict[str, str]) -> str:
    if default is GROUP:
        return "…"
    if default is None:
        return words["none"]
    if isinstance(default, tuple):
        default = list(default)
    return f"`{default if isinstance(default, str) else json.dumps(default)}`"


def pages() -> dict[str, str]:
    """The text of each generated page by its file's name."""
    chinese = yaml.safe_load((HERE / "translations.zh.yaml").read_text(encoding="utf-8"))

    def english(part: str, name: str, text: str) -> str:
        return text

    def translated(part: str, name: str, text: str) -> str:
        return chinese[part].get(name, text)

    return {
        "keys.md": keys_page(ENGLISH, english),
        "methods.md": methods_page(ENGLISH, english),
        "keys.zh.md": keys_page(chinese["words"], translated),
        "methods.zh.md": methods_page(chinese["words"], translated),
    }


if __name__ == "__main__":
    for name, text in pages().items():
        (HERE / name).write_text(text, encoding="utf-8")
