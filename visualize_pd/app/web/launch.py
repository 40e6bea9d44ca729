"""Start the app: load the network, build the page, and serve it."""

from __future__ import annotations

import atexit
import logging
import os
import shutil
import tempfile
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ...core.config import as_dict, build
from ...core.errors import ConfigError
from ...core.text import printable
from ..config.reading import default_config, read_values
from ..config.schema import ExplainConfig

if TYPE_CHECKING:
    import gradio as gr

MISSING = 'the app needs Gradio; in the project\'s folder run pip install -e ".[app]"'
OLDEST = 6  # the major version of Gradio from which on its HTML component has scripts
MOST_PEOPLE = 500
MOST_WAITING = 100  # computations in the queue
HOST = "127.0.0.1"
# Variables of Gradio that may stay. Others can share the page, open files, or show all runs.
KEPT = {"GRADIO_SERVER_PORT", "GRADIO_NUM_PORTS", "GRADIO_ROOT_PATH", "GRADIO_TEMP_DIR"}


# Gradio sends nothing, keeps no visits, and computes no statistics of them after each event.
OURS = {
    **dict.fromkeys(["GRADIO_ANALYTICS_ENABLED", "GRADIO_RUN_HISTORY"], "False"),
    **{"GRADIO_ANALYTICS_MAX_EVENTS": "1", "GRADIO_ANALYTICS_CACHE_FREQUENCY": "1000000000"},
}


def check_gradio() -> None:
    """Raise `ConfigError` if Gradio is missing or too old. Only `KEPT` of its variables stay."""
    for name in {name for name in os.environ if name.startswith("GRADIO_")} - KEPT:
        del os.environ[name]
    os.environ.update(OURS)
    if "GRADIO_TEMP_DIR" not in os.environ:  # a folder of its own for what visitors upload
        folder = tempfile.mkdtemp(prefix="visualize_pd_app_")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        os.environ["GRADIO_TEMP_DIR"] = folder  # Gradio reads it when it is imported
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


def show_app(height: int = 900, **keys: Any) -> None:
    """Show the page in the cell of a notebook. It ends with the notebook.

    `keys` are those of an explain config, such as `model` and `images`, and replace the values of
    `configs/app.yaml`. `height` is in pixels. Raises a `VisualizeError`, as `visualize-pd app`.
    """
    values = {**read_values(default_config("app.yaml")), **keys}
    launch(make_app(build(ExplainConfig, values)), inline=True, height=height)


def serve(
    config: ExplainConfig,
    host: str | None = None,
    port: int | None = None,
    share: bool = False,
    say: Callable[[str], None] = print,
) -> None:
    """Serve the page until somebody interrupts it. `say` gets its address."""
    page = make_app(config)
    say(f"The page is at {launch(page, host, port, share)} (Ctrl+C ends it)")
    page.block_thread()


def launch(
    page: gr.Blocks,
    host: str | None = None,
    port: int | None = None,
    share: bool = False,
    **options: Any,
) -> str:
    """Open the address of a page, and return it. Raises `ConfigError` for a port that is taken."""
    from starlette.middleware import Middleware

    from .page import LOOK
    from .requests import LARGEST_FILE, OnlyThePage

    for name in ("httpx", "httpx2"):  # they log every request
        logging.getLogger(name).setLevel(logging.WARNING)
    page.queue(api_open=False, max_size=MOST_WAITING)
    try:
        _, address, _ = page.launch(
            server_name=host or HOST,
            server_port=port,
            share=share,
            max_file_size=LARGEST_FILE,
            app_kwargs={"middleware": [Middleware(OnlyThePage)]},
            **{**LAUNCH, **LOOK, **options},
        )
    except (OSError, OverflowError, ValueError) as error:
        raise ConfigError(f"the page cannot be opened: {printable(error)}") from error
    return address


LAUNCH: dict[str, Any] = {
    **{"inline": False, "quiet": True, "prevent_thread_lock": True, "footer_links": []},
    **{"state_session_capacity": MOST_PEOPLE, "show_error": False, "ssr_mode": False},
}
