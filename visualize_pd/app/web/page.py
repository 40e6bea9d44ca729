"""The page: a heading, the language, and the tabs."""

from __future__ import annotations

from typing import Any

import gradio as gr

from ...models.classifier import Classifier
from ..config.schema import ExplainConfig
from .session import Desk, Session
from .shell import Shell
from .tabs.explain import add_explain_tab
from .texts import CHINESE, ENGLISH, preferred_language

TABS = [add_explain_tab]  # in their order on the page


def build_page(classifier: Classifier, config: ExplainConfig, desk: Desk) -> gr.Blocks:
    """The page for a network. It must still be launched."""
    with gr.Blocks(title="visualize_pd", analytics_enabled=False) as page:
        shell = Shell(classifier, config, desk)
        with gr.Row(elem_id="head"):
            gr.Markdown(f"# visualize_pd\n{classifier.title}")
            language = gr.Radio(
                [("English", ENGLISH), ("中文", CHINESE)],
                value=ENGLISH,
                label="Language · 语言",
                elem_id="language",
            )
        with gr.Tabs():
            for add_tab in TABS:
                add_tab(shell)

        def switch(session: Session, chosen: str) -> list[Any]:
            session.language = chosen if chosen in (ENGLISH, CHINESE) else ENGLISH
            return shell.texts.updates(session.language)

        def greet(request: gr.Request, session: Session) -> list[Any]:
            shell.people[request.session_hash or ""] = session
            session.language = preferred_language(request.headers.get("accept-language", ""))
            return [session.language, *shell.texts.updates(session.language)]

        texts = shell.texts.components
        shell.on(language.input, switch, [language], texts, queued=False)
        page.load(greet, [shell.state], [language, *texts], queue=False, api_name=False)
        page.unload(shell.leave)
    return page
