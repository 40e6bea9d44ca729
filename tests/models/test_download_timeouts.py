"""A download does not wait long for a server that is silent, stalls or sends too slowly."""

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from download_server import CONTENT, MD5

from visualize_pd.core.errors import WeightsError
from visualize_pd.models.weights import downloading
from visualize_pd.models.weights.downloading import download


def send_a_part(handler):
    """Send a third of the content, then nothing."""
    handler.start(len(CONTENT))
    handler.wfile.write(CONTENT[:100_000])
    handler.server.over.wait(30)


def send_slowly(handler):
    """Send one byte every 0.05 s."""
    handler.start(len(CONTENT))
    for i in range(600):
        handler.wfile.write(CONTENT[i : i + 1])
        if handler.server.over.wait(0.05):
            break


def send_headers_slowly(handler):
    for _ in range(600):
        handler.wfile.write(b"H")
        if handler.server.over.wait(0.05):
            break


def test_silent_server_costs_less_than_five_seconds(server, tmp_path, monkeypatch):
    """Four kinds of silence.

    A port that accepts a connection and never answers, a port that does not accept it, a server
    that never answers the request, and a host name that is never found.
    """
    look_up, over = socket.getaddrinfo, threading.Event()

    def hanging(host, *args, **kwargs):
        if host == "slow.invalid":
            over.wait(30)
        return look_up(host, *args, **kwargs)

    def listener(stack, backlog):
        listening = stack.enter_context(socket.socket())
        listening.bind(("127.0.0.1", 0))
        listening.listen(backlog)
        return listening.getsockname()

    def failed(url):
        start = time.monotonic()
        with pytest.raises(WeightsError, match="no answer"):
            download(url, MD5, tmp_path / url.rpartition(":")[2].replace("/", ""))
        return time.monotonic() - start

    server.behaviour = lambda handler: handler.server.over.wait(30)
    monkeypatch.setattr(socket, "getaddrinfo", hanging)
    with ExitStack() as stack:
        quiet, full = listener(stack, 5), listener(stack, 0)
        for _ in range(8):  # more connections than the backlog holds
            caller = stack.enter_context(socket.socket())
            caller.setblocking(False)
            caller.connect_ex(full)
        urls = [f"http://127.0.0.1:{port}/x" for _, port in (quiet, full)]
        urls += [server.url, "http://slow.invalid:80/y"]
        with ThreadPoolExecutor(4) as pool:
            seconds = list(pool.map(failed, urls))
    over.set()
    assert max(seconds) < 5
    assert min(seconds) > 2  # a slow network may need this time
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("behaviour", [send_a_part, send_slowly])
def test_download_that_stalls(server, failed_download, monkeypatch, behaviour):
    monkeypatch.setattr(downloading, "STALL_SECONDS", 0.4)
    server.behaviour = behaviour
    message = failed_download(server.url)
    assert "no answer" in message or "timed out" in message  # there are two time limits


def test_headers_that_arrive_slowly(server, failed_download, monkeypatch):
    monkeypatch.setattr(downloading, "FIRST_BYTE_SECONDS", 0.4)
    server.behaviour = send_headers_slowly
    failed_download(server.url)


def test_slow_but_steady_download_succeeds(server, tmp_path, monkeypatch):
    """The whole download takes longer than the limit, but no single pause does."""
    monkeypatch.setattr(downloading, "STALL_SECONDS", 0.6)

    def behaviour(handler):
        handler.start(len(CONTENT))
        for i in range(0, len(CONTENT), 50_000):
            handler.wfile.write(CONTENT[i : i + 50_000])
            time.sleep(0.15)

    server.behaviour = behaviour
    start = time.monotonic()
    assert download(server.url, MD5, tmp_path / "a").read_bytes() == CONTENT
    assert time.monotonic() - start > 0.7
