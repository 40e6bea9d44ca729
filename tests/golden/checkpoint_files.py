"""Weight files assembled by hand: good ones, hostile ones, and bombs."""

import io
import json
import pickle
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np


def part(value) -> bytes:
    """A value as a piece of a pickle, without its first and last instruction."""
    return pickle.dumps(value, 2)[2:-1]


def named(module, name) -> bytes:
    return f"c{module}\n{name}\n".encode()


def storage(key="0", count=4, kind="FloatStorage") -> bytes:
    pid = part("storage") + named("torch", kind) + part(key) + part("cpu") + part(count)
    return b"(" + pid + b"tQ"


def tensor(size, stride, offset=0, pid=None) -> bytes:
    view = part(offset) + part(size) + part(stride) + b"\x89NtR"
    return named("torch._utils", "_rebuild_tensor_v2") + b"(" + (pid or storage()) + view


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
        pid = storage(str(key), array.size)
        stride = tuple(s // 4 for s in np.empty(array.shape, "f4").strides)
        pieces += part(name) + tensor(array.shape, stride, pid=pid)
        storages[str(key)] = np.ascontiguousarray(array, "<f4").tobytes()
    return (torch_legacy if legacy else torch_zip)(b"\x80\x02}(" + pieces + b"u.", storages)


class Runs:
    """Leaves a mark when it is made."""

    def __new__(cls, path):
        Path(path).touch()
        return super().__new__(cls)


class Victim:
    """A class whose attributes a pickle may want to set."""


def attacks(mark):
    shell = f"touch '{mark}'"
    run, eval_ = part(shell), part(f"__import__('os').system({shell!r})")
    words, own, s = part(["touch", str(mark)]), part(str(mark)), pickle.SHORT_BINUNICODE
    os_system = s + b"\x02os" + s + b"\x06system\x93"
    dotted = s + b"\x02os" + s + b"\x0epath.os.system\x93"
    setstate = b"N}" + part("__setstate__") + named("os", "system") + b"s\x86b"
    runs, victim = named(__name__, "Runs"), named(__name__, "Victim")
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
        "BUILD": b"\x80\x02" + victim + setstate + victim + b")R" + run + b"b.",
        "in a dict": b"\x80\x02}" + part("a.weight") + named("os", "system") + run + b"\x85Rs.",
    }  # fmt: skip


def deflated(count):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("archive/data.pkl", state(a=tensor((4,), (1,))))
        archive.writestr("archive/data/0", bytes(count))
    return file.getvalue()


def overlapping(entries=120, payload=8 << 20):
    """Every stored entry of this archive holds all the entries after it."""
    views = {f"t{i}": tensor((4,), (1,), pid=storage(str(i))) for i in range(entries)}
    names = [f"archive/data/{i}" for i in range(entries)]
    body, entries = bytes(payload), []
    for name, content in [*((name, None) for name in names), ("archive/data.pkl", state(**views))]:
        rest, body = (b"", body) if content is None else (body, content)
        fields = (20, 0, 0, 0, 33, zlib.crc32(body), len(body), len(body), len(name), 0)
        body = struct.pack("<4s5H3L2H", b"PK\3\4", *fields) + name.encode() + body + rest
        entries.append((name.encode(), fields, len(body)))
    directory = b"".join(
        struct.pack("<4s6H3L5H2L", b"PK\1\2", 20, *fields, 0, 0, 0, 0, len(body) - back) + name
        for name, fields, back in entries
    )
    counts = (0, 0, len(entries), len(entries), len(directory), len(body), 0)
    return body + directory + struct.pack("<4s4H2LH", b"PK\5\6", *counts)


def many_views(count=400, size=1 << 20):
    pid = storage("0", size, "ByteStorage")
    views = {f"t{i}": tensor((size,), (1,), pid=pid) for i in range(count)}
    return torch_zip(state(**views), {"0": bytes(size)})


GIB, DEEP, DOUBLED = 1 << 30, b")" + b"\x85" * 1_000_000, b")" + b"q\x01h\x01\x86" * 60
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
    "storage in zip": lambda: torch_zip(state(a=tensor((4,), (1,), pid=storage(count=GIB)))),
    "storage in legacy": lambda: torch_legacy(
        state(a=tensor((4,), (1,), pid=storage(count=GIB))), {"0": bytes(16)}, {"0": GIB}
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
