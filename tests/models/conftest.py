"""Fixtures that several tests in this folder use."""

import socket
import threading
import time

import pytest
from download_server import MD5, Server
from golden_checkpoints import GOLDEN, assert_arrays, golden_arrays

from visualize_pd.core.errors import WeightsError
from visualize_pd.models.weights.checkpoints import read_checkpoint
from visualize_pd.models.weights.downloading import download


@pytest.fixture
def server():
    """A running local server."""
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.over.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def dead_url():
    """A URL of a port on which no server listens."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{closed.getsockname()[1]}/alexnet.pdparams"


@pytest.fixture(params=["new", "existing"])
def failed_download(request, tmp_path):
    """A function for a download that must fail, and must not change the folder.

    It returns the message of the error. It runs for a new file and for an existing one.
    """
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


@pytest.fixture
def read(tmp_path):
    """A function that reads bytes as a weight file."""

    def run(content, name="file.pth"):
        (tmp_path / name).write_bytes(content)
        return read_checkpoint(tmp_path / name)

    return run


@pytest.fixture
def refused(read):
    """A function for bytes that must be refused. It returns the message of the error.

    After that, good files must still be read correctly.
    """

    def run(content):
        with pytest.raises(WeightsError) as error:
            read(content)
        for kind in ("zip", "legacy"):
            arrays = read_checkpoint(GOLDEN / f"checkpoint_net_{kind}.pth")
            assert_arrays(arrays, golden_arrays("net"))
        return str(error.value)

    return run
