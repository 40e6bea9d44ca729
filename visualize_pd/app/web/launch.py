"""Start the app: load the network, build the page, and serve it."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from typing import TYPE_CHECKING, Any

from ...core.config import as_dict
from ...core.errors import ConfigError
from ...core.text import printable
from ..config.schema import ExplainConfig

if TYPE_CHECKING:
    import gradio as gr

MISSING = 'the app needs Gradio; in the project\'s folder run pip install -e ".[app]"'
OLDEST = 6  # the major version of Gradio from which on its HTML component has scripts
LARGEST_FILE = "20mb"
MOST_PEOPLE = 500


def check_gradio() -> None:
    """Raise `ConfigError` if Gradio is missing or too old."""
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    try:
        import gradio
    except ImportError:
        raise ConfigError(MISSING) from None
    if int(gradio.__version__.split(".")[0]) < OLDEST:
        raise ConfigError(
            f"the app needs Gradio {OLDEST} or newer, but {gradio.__version__} is installed; "
            f"run pip install 'gradio>={OLDEST}'"
        )


def make_app(config: ExplainConfig) -> gr.Blocks:
    """Load the network of a config, and build the page for it. Raises a `VisualizeError`."""
    check_gradio()
    from ...core.runtime import use_device
    from ...models.loading import load_model
    from ...network.fast import use_fast
    from .page import build_page
    from .session import Desk, Session

    desk = Desk()

    def load() -> Any:
        use_device(config.device)
        use_fast(config.fast)
        return load_model(**as_dict(config.model))

    return build_page(desk.run(Session(), load), config, desk)


def serve(
    config: ExplainConfig, host: str | None = None, port: int | None = None, share: bool = False
) -> None:
    """Serve the page until somebody interrupts it. Files of visitors lie in a folder of its own."""
    folder = tempfile.mkdtemp(prefix="visualize_pd_app_")
    os.environ["GRADIO_TEMP_DIR"] = folder  # Gradio reads it when it is imported
    try:
        page = make_app(config)
        launch(page, host, port, share)
        page.block_thread()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def launch(
    page: gr.Blocks, host: str | None = None, port: int | None = None, share: bool = False
) -> str:
    """Open the address of a page, and return it. Raises `ConfigError` for a port that is taken."""
    from .page import LOOK

    for name in ("httpx", "httpx2"):  # they log every request
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        _, address, _ = page.launch(
            server_name=host, server_port=port, share=share, **LAUNCH, **LOOK
        )
    except (OSError, OverflowError, ValueError) as error:
        raise ConfigError(f"the page cannot be opened: {printable(error)}") from error
    return address


LAUNCH: dict[str, Any] = {
    "prevent_thread_lock": True,
    "max_file_size": LARGEST_FILE,
    "state_session_capacity": MOST_PEOPLE,
    "show_error": False,
    "ssr_mode": False,
    "footer_links": [],
}
