"""`visualize-pd app`: its arguments, what it refuses, and what it does not import too early."""

import runpy
import subprocess
import sys

import pytest
from app_helpers import ROOT, overrides

from visualize_pd.app.commands.scripts import app_command
from visualize_pd.app.web import launch

TINY = {"model": "{name: tiny:small_net, image_size: 32}", "images": "[]"}


@pytest.fixture
def served(monkeypatch):
    """What `serve` is called with."""
    calls = []
    monkeypatch.setattr(launch, "serve", lambda *given: calls.append(given))
    return calls


def test_arguments(served):
    assert app_command(ROOT / "configs/app.yaml", []) == 0
    config, host, port, share, _ = served[0]
    assert (host, port, share) == (None, None, False)  # then the page opens at 127.0.0.1
    assert config.model.name == "efficientnet_lite0" and config.compare == ["grad_cam"]
    words = ["--model", "resnet18", "--weights", "my: runs/#1.pdparams", "--host", "0.0.0.0"]
    assert app_command(ROOT / "configs/app.yaml", [*words, "--port", "81", "--share"]) == 0
    config, *others, _ = served[1]
    assert (config.model.name, config.model.weights) == ("resnet18", "my: runs/#1.pdparams")
    assert others == ["0.0.0.0", 81, True] and config.model.fallback is None


def test_samples_may_be_missing(served, empty_folder):
    assert app_command(ROOT / "configs/app.yaml", []) == 0


def command_fails(capsys, *words):
    assert app_command(ROOT / "configs/app.yaml", [*overrides(TINY), *words]) == 2
    line = capsys.readouterr().err
    assert line.startswith("error: ") and line.count("\n") == 1
    return line


def test_missing_gradio_is_one_sentence(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", None)
    assert 'pip install -e ".[app]"' in command_fails(capsys)


def test_old_gradio_is_one_sentence(capsys, monkeypatch):
    import gradio

    monkeypatch.setattr(gradio, "__version__", "5.49.1")
    assert "needs Gradio 6 or newer, but 5.49.1 is installed" in command_fails(capsys)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["-o", "compare=[{name: integrated_gradients, baseline: dog.png}]"], "baseline cannot be"),
        (["-o", "compare=[nothing]"], "there is no method nothing"),
        (["--model", "no_such_network"], "no_such_network"),
        (["--port", "99999"], "the page cannot be opened"),
    ],
)
def test_what_is_refused_before_the_page_opens(capsys, tests_folder, words, sentence):
    assert sentence in command_fails(capsys, *words)


@pytest.mark.parametrize(("words", "unwanted"), [([], {"paddle"}), (["app"], {"gradio"})])
def test_help_imports_no_more_than_it_needs(words, unwanted):
    code = (
        "import sys, visualize_pd_command as c\n"
        f"sys.argv[1:] = [*{words}, '--help']\n"
        "try: c.main()\n"
        "except SystemExit: pass\n"
        f"assert not {unwanted} & {{*sys.modules}}, 'imported too early'\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True)


@pytest.mark.parametrize(
    ("variable", "words", "host"),
    [
        (None, [], None),
        ("0.0.0.0", [], "0.0.0.0"),
        ("0.0.0.0", ["--host", "127.0.0.1"], "127.0.0.1"),
    ],
)
def test_app_py_listens_where_the_service_says(served, monkeypatch, variable, words, host):
    monkeypatch.delenv("GRADIO_SERVER_NAME", raising=False)
    if variable:
        monkeypatch.setenv("GRADIO_SERVER_NAME", variable)
    monkeypatch.setattr(sys, "argv", ["app.py", *words])
    with pytest.raises(SystemExit):
        runpy.run_path(str(ROOT / "app.py"), run_name="__main__")
    assert served[0][1] == host
    assert app_command(ROOT / "configs/app.yaml", []) == 0  # `visualize-pd app` does not read it
    assert served[1][1] is None


def test_address_is_said(monkeypatch):
    said = []

    class Page:
        def block_thread(self):
            said.append("waits")

    monkeypatch.setattr(launch, "make_app", lambda _config: Page())
    monkeypatch.setattr(launch, "launch", lambda _page, *given: f"http://x/{given}")
    launch.serve(None, "h", 1, False, said.append)
    assert said == ["The page is at http://x/('h', 1, False) (Ctrl+C ends it)", "waits"]
