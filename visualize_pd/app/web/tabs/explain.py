"""The tab that explains a picture."""

from __future__ import annotations

import gradio as gr

from ..shell import Shell


def add_explain_tab(shell: Shell) -> None:
    """Add the tab that explains a picture."""
    with shell.texts.show(gr.Tab(id="explain"), label=("Explain", "解释")):
        gr.Markdown("…")
