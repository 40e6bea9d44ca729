"""Pages that several of these files open. Their uploads lie in a folder of the tests."""

import importlib.util
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from browser import chromium
from page_visitor import Visitor, opened

if importlib.util.find_spec("gradio") is None:
    collect_ignore_glob = ["*"]
UPLOADS = Path(tempfile.mkdtemp(prefix="visualize_pd_page_"))
os.environ["GRADIO_TEMP_DIR"] = str(UPLOADS)  # before Gradio is imported


@pytest.fixture(autouse=True, scope="session")
def uploads():
    yield UPLOADS
    shutil.rmtree(UPLOADS, ignore_errors=True)


@pytest.fixture(scope="module")
def tiny_page():
    """The page of a network with three classes."""
    from visualize_pd.app.config.schema import ExplainConfig
    from visualize_pd.models.config import ModelConfig

    model = ModelConfig(name="tiny:small_net", image_size=32)
    page, address = opened(ExplainConfig(images=[], compare=["grad_cam"], model=model))
    yield page, address
    page.close()


@pytest.fixture(scope="session")
def one_browser(tmp_path_factory):
    with chromium(tmp_path_factory.mktemp("browser")) as browser:
        yield browser


@pytest.fixture(scope="module")
def browser(one_browser):
    """The browser of all these tests, as if it was new."""
    one_browser.set_window_size(1240, 1480)
    for kind in ("browser", "performance"):
        one_browser.get_log(kind)
    yield one_browser
    one_browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    one_browser.get("about:blank")


@pytest.fixture
def visitor(tiny_page):
    return Visitor(*tiny_page)
