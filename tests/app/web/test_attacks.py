"""Attacks: addresses that the page does not use, and requests that it never sends."""

import json
import os
import re
import urllib.error
import urllib.request

import pytest
from page_visitor import Visitor, png

from visualize_pd.app.web.launch import KEPT, OURS, check_gradio, launch
from visualize_pd.app.web.requests import API, LARGEST_FILE, PAGE, PARTS, refusal

HOSTILE = [None, "/etc/passwd", 1e300, True, {"path": "/etc/passwd"}]
HOSTILE += ["!!python/object/apply:os.system ['id']"]


def answer(address, method="GET", body=None, headers=()):
    """The status and the text of an answer."""
    request = urllib.request.Request(address, body, dict(headers), method=method)
    try:
        with urllib.request.urlopen(request, timeout=20) as found:
            return found.status, found.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def routes_of(router):
    """All routes, also those of routers inside it."""
    for route in router.routes:
        inside = getattr(route, "original_router", None)
        yield from routes_of(inside) if inside else [route]


def test_every_address_of_gradio_is_closed_but_those_of_the_page(tiny_page):
    """Over all routes that Gradio has, also those that a later version brings."""
    page, address = tiny_page
    opened = set()
    for route in routes_of(page.app):
        path = re.sub(r"{[^}]*}", "x", getattr(route, "path", "/"))
        if refusal("POST", path, "1") is None:
            opened.add(path.strip("/").removeprefix("gradio_api/"))
            continue
        for method in ("GET", "POST", "PUT", "DELETE"):
            status, text = answer(address.rstrip("/") + path, method, b"{}" * (method == "POST"))
            assert (status, text) == (404, b"The page has no such address."), path
    allowed = PAGE | API | {f"{part}x" for part in PARTS} | {"heartbeat/x"}
    assert opened <= allowed and {"upload", "queue/join"} <= opened


FILES = ["/etc/hostname", __file__, "http://127.0.0.1:9/a.png", "https://example.org/a.png"]


@pytest.mark.parametrize("file", FILES, ids=["system", "project", "local_address", "address"])
def test_no_file_and_no_address_is_opened(tiny_page, uploads, file):
    start = f"{tiny_page[1]}gradio_api/"
    assert answer(f"{start}file={file}")[0] == 404
    status, text = answer(f"{start}file={uploads}/../{file.lstrip('/')}")
    assert status in (403, 404) and b"root" not in text
    assert answer(f"{start}proxy={file}")[0] == 404


@pytest.mark.parametrize(
    ("path", "length", "status"),
    [
        ("/gradio_api/upload", str(LARGEST_FILE), None),
        ("/gradio_api/upload", str(LARGEST_FILE + 200_000), 413),
        ("/gradio_api/queue/join", "2000000", 413),
        ("/gradio_api/queue/join", None, 411),
        ("/gradio_api/queue/join", "-1", 411),
        ("/gradio_api/queue/join", "9", None),
    ],
    ids=str,
)
def test_size_of_a_request_is_limited(path, length, status):
    refused = refusal("POST", path, length)
    assert (None if refused is None else refused[0]) == status


def test_every_event_takes_hostile_values_without_a_trace(tiny_page, caplog):
    """Every function of the page, with every hostile value in place of each of its inputs."""
    page, address = tiny_page
    visitor = Visitor(page, address)
    visitor.bring("a.png", png())
    asked = 0
    for number, function in page.fns.items():
        if function.fn is None or any(name == "unload" for _, name in function.targets):
            continue
        for value in HOSTILE:
            try:
                said = str(visitor.send(number, [value] * len(function.inputs), value))
            except (RuntimeError, urllib.error.HTTPError) as error:
                said = str(error)
            assert not re.search(r"Traceback|File \\?\"|root:|visualize_pd/", said), (number, value)
            asked += 1
    assert asked > 100
    visitor.do("guesses", "press", {"class": 1}, methods=["grad_cam"])  # it is still well


def test_a_queued_computation_cannot_go_past_the_queue(tiny_page, visitor):
    number, _ = visitor.function("run", "click")
    body = {"fn_index": number, "session_hash": visitor.name, "data": [None, ["grad_cam"]]}
    kind = {"Content-Type": "application/json"}
    address = f"{tiny_page[1]}gradio_api/run/predict"
    assert answer(address, "POST", json.dumps(body).encode(), kind)[0] == 404


def test_variables_of_gradio_open_nothing(monkeypatch):
    for name in ("SERVER_NAME", "SHARE", "ALLOWED_PATHS", "VIBE_MODE", "MCP_SERVER", "WATCH_DIRS"):
        monkeypatch.setenv(f"GRADIO_{name}", "0.0.0.0")
    monkeypatch.setenv("GRADIO_SERVER_PORT", "7999")
    monkeypatch.setenv("GRADIO_RUN_HISTORY", "True")
    check_gradio()
    assert {name for name in os.environ if name.startswith("GRADIO_")} <= KEPT | {*OURS}
    assert os.environ["GRADIO_RUN_HISTORY"] == "False"
    assert os.environ["GRADIO_SERVER_PORT"] == "7999"
    given = {}

    class Page:
        def queue(self, **options):
            assert options["api_open"] is False

        def launch(self, **options):
            given.update(options)
            return None, "address", None

    assert launch(Page()) == "address"
    assert (given["server_name"], given["share"]) == ("127.0.0.1", False)
    launch(Page(), "0.0.0.0")
    assert given["server_name"] == "0.0.0.0"
