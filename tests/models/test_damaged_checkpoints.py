"""A weight file that is damaged or contains no weights gives a `WeightsError`."""

import io
import pickle
import zipfile

import numpy as np
import paddle
import pytest
from golden.checkpoint_files import named, part, state, tensor, torch_legacy, torch_zip
from golden_checkpoints import GOLDEN, network_with_statistics
from safetensors.numpy import save_file

from visualize_pd.core.errors import WeightsError
from visualize_pd.models.weights.checkpoints import read_checkpoint

KINDS = ("zip", "legacy", "pdparams", "safetensors")


def good_files(folder):
    paddle.save(network_with_statistics().state_dict(), str(folder / "good.pdparams"))
    save_file({"a.weight": np.ones((3, 4), "f4")}, folder / "good.safetensors")
    return {
        "zip": (GOLDEN / "checkpoint_net_zip.pth").read_bytes(),
        "legacy": (GOLDEN / "checkpoint_net_legacy.pth").read_bytes(),
        "pdparams": (folder / "good.pdparams").read_bytes(),
        "safetensors": (folder / "good.safetensors").read_bytes(),
    }


@pytest.mark.parametrize("kind", KINDS)
def test_truncated_file(tmp_path, read, kind):
    content = good_files(tmp_path)[kind]
    assert read(content)
    for cut in {*np.linspace(0, len(content) - 1, 80).astype(int), *range(20), len(content) - 2}:
        with pytest.raises(WeightsError):
            read(content[:cut])


@pytest.mark.parametrize("kind", KINDS)
def test_file_with_one_changed_byte(tmp_path, read, kind):
    """It is read, or it gives a `WeightsError`. There is never another error."""
    content = good_files(tmp_path)[kind]
    random = np.random.default_rng(1)
    errors = 0
    for _ in range(200):
        damaged = bytearray(content)
        damaged[random.integers(min(len(content), 1500))] = random.integers(256)
        try:
            read(bytes(damaged))
        except WeightsError:
            errors += 1
    assert errors > 20


@pytest.mark.parametrize(
    "content",
    [b"", b"\x80", b"PK\x03\x04", b"hello", b"<!DOCTYPE html><p>Not found</p>", b"\0" * 100, b"{}"],
)
def test_file_that_is_not_a_weight_file(refused, content):
    assert "file.pth" in refused(content)


@pytest.mark.parametrize(
    "value", [5, None, "text", [], {}, {"epoch": 3}, [("a.weight", 1)], {"state_dict": {"a": "b"}}]
)
def test_pickle_without_weights(refused, value):
    refused(pickle.dumps(value, 2))


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(WeightsError, match="no such weight file"):
        read_checkpoint(tmp_path / "none.pth")
    with pytest.raises(WeightsError, match="irectory"):
        read_checkpoint(tmp_path)


def test_pipe_gives_an_error_without_waiting(pipe):
    with pytest.raises(WeightsError, match="a pipe or a device"):
        read_checkpoint(pipe("file.pth"))


def test_too_long_names(refused):
    """A name with many dots has many prefixes. `fit` removes them one by one."""
    assert "200000 letters" in refused(pickle.dumps({"a." * 100_000: np.ones(2)}, 4))
    kind = named("numpy", "dtype") + b"(" + part("x" * 10**6) + b"K\x00K\x01tR."
    assert len(refused(b"\x80\x02" + kind)) < 300


def test_zip_files_without_the_weights(refused):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("readme.txt", "hello")
    assert "no PyTorch weights" in refused(file.getvalue())
    refused(torch_zip(state(a=tensor((4,), (1,))), {"1": bytes(16)}))  # storage "0" is missing


def test_storages_of_the_wrong_length(refused):
    data = state(a=tensor((4,), (1,)))
    refused(torch_zip(data, {"0": bytes(15)}))
    refused(torch_zip(data, {"0": b""}))
    refused(torch_legacy(data, {"0": bytes(15)}, {"0": 4}))
    refused(torch_legacy(data, {"0": bytes(16)}, {"0": 3}))
    refused(torch_legacy(data, {"0": bytes(16)}, {"0": -1}))
    refused(torch_legacy(data, {"1": bytes(16)}))


def test_numpy_arrays_of_another_size_than_their_bytes(refused):
    good = pickle.dumps({"a.weight": np.zeros(4, "f4")}, 2)
    assert good.count(b"K\x04\x85") == 1
    for shape in ((5,), (3,), (10**12,), (2**32, 2**32), ("4",)):
        refused(good.replace(b"K\x04\x85", part(shape)))
    refused(pickle.dumps({"a.weight": np.array([{}])}, 2))
    refused(pickle.dumps({"a.weight": np.array(["text"])}, 2))
