"""The page: a heading, the language, and the tabs."""

from __future__ import annotations

import html
import json
from pathlib import Path
from typing import Any

import gradio as gr

from ...models.classifier import Classifier
from ..config.schema import ExplainConfig
from .live.channels import listing_of
from .session import Desk, Session
from .shell import Shell
from .tabs.explain import ExplainTab
from .tabs.generate import GenerateTab
from .tabs.measure import MeasureTab
from .tabs.network import NetworkTab
from .texts import CHINESE, ENGLISH, GRADIO, LANGUAGES, preferred_language

SECONDS = 600  # after which an uploaded file that was not opened is removed
# Colours with a contrast of at least 4.5 to 1, so that texts can be read in bright light.
DARKER = {
    "body_text_color_subdued": "#475569",
    **dict.fromkeys(["block_label_text_color", "block_info_text_color"], "#475569"),
    **dict.fromkeys(["block_title_text_color", "input_placeholder_color"], "#475569"),
    **dict.fromkeys(["color_accent", "slider_color"], "#0f766e"),
    **dict.fromkeys([f"button_primary_background_fill{mode}" for mode in ("", "_dark")], "#0f766e"),
    **dict.fromkeys(
        [f"button_primary_background_fill_hover{mode}" for mode in ("", "_dark")], "#115e59"
    ),
    "body_text_color_subdued_dark": "#cbd5e1",
    **dict.fromkeys(["block_label_text_color_dark", "block_info_text_color_dark"], "#cbd5e1"),
    **dict.fromkeys(["block_title_text_color_dark", "input_placeholder_color_dark"], "#cbd5e1"),
}
BROWSER = Path(__file__).with_name("browser")  # files that run in the browser
SPEAK = "(language) => { document.documentElement.lang = language; }"
LOOK: dict[str, Any] = {
    "js": (BROWSER / "page.js").read_text(encoding="utf-8").replace("TEXTS", json.dumps(GRADIO)),
    "css": (BROWSER / "page.css").read_text(encoding="utf-8"),
    "theme": gr.themes.Default(  # with the fonts of the machine: nothing is loaded from elsewhere
        primary_hue="teal",
        neutral_hue="slate",
        font=["system-ui", "PingFang SC", "Microsoft YaHei", "sans-serif"],
        font_mono=["ui-monospace", "Consolas", "monospace"],
    ).set(**DARKER),
}


def build_page(classifier: Classifier, config: ExplainConfig, desk: Desk) -> gr.Blocks:
    """The page for a network. It must still be launched."""
    with gr.Blocks(
        title="visualize_pd",
        analytics_enabled=False,
        fill_width=True,
        delete_cache=(SECONDS, SECONDS),
    ) as page:
        shell = Shell(page, classifier, config, desk)
        with gr.Row(elem_id="head"):
            title = html.escape(classifier.title)
            gr.HTML(f"<h1>visualize_pd</h1><p>{title}</p>", js_on_load=None)
            language = gr.Radio(
                [("English", ENGLISH), ("中文", CHINESE)],
                value=ENGLISH,
                label="Language · 语言",
                show_label=False,
                elem_id="language",
            )
        with gr.Tabs():
            ExplainTab(shell)
            listing = desk.run(Session(), lambda: listing_of(classifier))
            GenerateTab(shell, listing.layers, listing.classes)
            NetworkTab(shell, listing.layers)
            MeasureTab(shell)

        def switch(session: Session, chosen: str) -> list[Any]:
            session.language = chosen if chosen in LANGUAGES else ENGLISH
            return shell.updates(session)

        def greet(request: gr.Request, session: Session) -> list[Any]:
            session.language = preferred_language(request.headers.get("accept-language", ""))
            return [session.language, *shell.updates(session)]

        language.change(None, [language], js=SPEAK)
        shell.on(language.input, switch, [language], shell.in_language, queued=False)
        outputs = [language, *shell.in_language]
        page.load(
            greet, [shell.state], outputs, queue=False, api_name=False, show_progress="hidden"
        )
        page.unload(shell.leave)
    return page
