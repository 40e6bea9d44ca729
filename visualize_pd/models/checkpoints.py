"""Weight files → `{name: float32 array}`, without PyTorch, and without running what they contain.

Read are Paddle's `.pdparams`, PyTorch's `.pth` (zip format since 1.6, and the legacy one before
it) and `.safetensors`; a file is known by its first bytes, not by its name. Pickles can name any
function of any module to be called: here they get arrays, tensors, dicts and numbers, or a refusal.
"""

from __future__ import annotations

import codecs
import math
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, ClassVar, Literal

import numpy as np

from ..errors import WeightsError
from ..files import is_pipe_or_device

UNFOLDED = 8  # float32 bytes that may come of a byte of the file: 4 of int8, and tensors shared
LONGEST_NAME = 1000  # each of its dots may end a prefix, which `fit` takes off one by one
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
WRAPPERS = ("state_dict", "model_state_dict", "model", "network", "net", "params", "state_dict_ema")


class Refused(Exception):
    """The file holds something that is not a weight."""


def read_checkpoint(path: str | Path) -> dict[str, np.ndarray]:
    """The arrays of a weight file by name; wrappers such as `state_dict` are opened.

    Raises `WeightsError` for a file that is missing, damaged, of an unknown kind or hostile.
    """
    path = Path(path)
    try:
        if is_pipe_or_device(path):
            raise Refused("it is a pipe or a device")
        with open(path, "rb") as file:
            start = file.read(9)
            size = file.seek(0, 2)
            file.seek(0)
            # A header's length comes first: its lowest byte may well be the 0x80 of pickles.
            if start[8:] == b"{" and int.from_bytes(start[:8], "little") < size:
                content = _read_safetensors(path)
            elif start.startswith(b"PK\x03\x04"):
                content = _read_torch_zip(file)
            elif start.startswith(b"\x80"):
                content = _read_pickle(file)
            else:
                raise Refused("it is none of .pdparams, .pth and .safetensors, or cut off")
        return _state_dict(content, UNFOLDED * size)
    except Refused as error:
        raise WeightsError(f"cannot use the weights {path}: {error}") from error
    except FileNotFoundError:
        raise WeightsError(f"no such weight file: {path}") from None
    except Exception as error:  # a damaged pickle or archive can raise nearly anything
        reason = getattr(error, "strerror", None) or "the file is cut off or damaged"
        raise WeightsError(f"cannot read the weights {path}: {reason}") from error


# What a pickle may build. Nothing below runs, imports or opens anything.


def _name(key: Any) -> Any:
    """A key of a dict. Tuples are none: hashing nested ones can take for ever, or the process."""
    if not isinstance(key, (str, bytes, int, float)):
        raise Refused("it names something by what is no name")
    return key


class _Dict(dict):
    """An OrderedDict without the attributes that a pickle would hang onto it."""

    def __init__(self, pairs: Any = ()):
        super().__init__()
        for key, value in pairs:
            self[_name(key)] = value

    def __setstate__(self, state: Any) -> None:
        pass


class _DType:
    """A numpy dtype: a kind and a size, such as "f4", then a byte order."""

    def __init__(self, code: str, *_: Any):
        if not isinstance(code, str):
            raise Refused("it holds an array that is not of numbers")
        order, kind = ("<", code) if code[:1].isalpha() else (code[:1], code[1:])
        if kind not in ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"):
            raise Refused(f"it holds an array of {code[:20]!r}, not of numbers")
        self.dtype = np.dtype(kind).newbyteorder(">" if order == ">" else "<")

    def __setstate__(self, state: tuple) -> None:
        self.dtype = self.dtype.newbyteorder(">" if state[1] == ">" else "<")


class _Array:
    """A numpy array: shape, dtype and bytes arrive in `__setstate__`."""

    def __init__(self, *_: Any):
        self.values: np.ndarray | None = None

    def __setstate__(self, state: tuple) -> None:
        _, shape, dtype, fortran, data = state
        if isinstance(data, str):
            data = data.encode("latin1")
        values = np.frombuffer(data, dtype.dtype)
        self.values = values.reshape(shape, order="F" if fortran else "C")

    def array(self) -> np.ndarray | None:
        if self.values is not None and self.values.dtype.kind + str(self.values.itemsize) == "u2":
            return _bfloat16(self.values)  # as which Paddle writes bfloat16
        return self.values


def _bfloat16(halves: np.ndarray) -> np.ndarray:
    """What is stored are the upper halves of float32 numbers."""
    return (halves.astype("u4") << 16).view("f4")


class _Storage:
    """A flat run of numbers that tensors look into; its bytes may come after the pickle."""

    def __init__(self, dtype: str, count: int):
        self.dtype = dtype
        self.count = count
        self.values: np.ndarray = np.zeros(0)

    def fill(self, data: bytes, byteorder: Literal["<", ">"] = "<") -> None:
        if self.dtype == "bf16":
            halves = np.frombuffer(data, np.dtype("u2").newbyteorder(byteorder), self.count)
            self.values = _bfloat16(halves)
        else:
            dtype = np.dtype(self.dtype).newbyteorder(byteorder)
            self.values = np.frombuffer(data, dtype, self.count)


class _Tensor:
    """A strided view of a storage."""

    def __init__(self, storage: _Storage, offset: int, size: tuple, stride: tuple, *_: Any):
        self.storage, self.offset = storage, offset
        self.size, self.stride = tuple(size), tuple(stride)

    def array(self) -> np.ndarray:
        numbers = (self.offset, *self.size, *self.stride)
        if (
            len(self.size) != len(self.stride)
            or len(self.size) > 32
            or not all(type(n) is int and 0 <= n < 1 << 63 for n in numbers)
        ):
            raise Refused("a tensor has an impossible shape")
        values, count = self.storage.values, math.prod(self.size)
        if count == 0:
            return np.zeros(self.size, "f4")
        last = self.offset + sum((n - 1) * s for n, s in zip(self.size, self.stride))
        if last >= values.size or count > values.size:
            raise Refused("a tensor reaches past its data")
        strides = [s * values.itemsize for s in self.stride]
        return np.lib.stride_tricks.as_strided(values[self.offset :], self.size, strides)


def _parameter(tensor: Any, *_: Any) -> Any:
    return tensor


def _frombuffer(data: Any, dtype: Any, shape: Any, order: Any = "C") -> _Array:
    array = _Array()
    array.__setstate__((1, shape, dtype, order == "F", data))
    return array


def _scalar(dtype: Any, data: bytes = b"") -> Any:
    return np.frombuffer(data, dtype.dtype, 1)[0].item()


def _latin1(text: Any, encoding: Any = "latin1") -> bytes:
    if not isinstance(encoding, str) or encoding not in ("latin1", "latin-1"):
        raise Refused("it asks for a text encoding other than latin1")
    return codecs.encode(text, "latin1")


_STORAGES = {
    "FloatStorage": "f4",
    "DoubleStorage": "f8",
    "HalfStorage": "f2",
    "BFloat16Storage": "bf16",
    "LongStorage": "i8",
    "IntStorage": "i4",
    "ShortStorage": "i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "b1",
}
_KNOWN: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): _Dict,
    ("builtins", "tuple"): tuple,
    ("builtins", "list"): list,
    ("builtins", "dict"): _Dict,
    ("builtins", "set"): list,
    ("__builtin__", "tuple"): tuple,
    ("__builtin__", "set"): list,
    ("_codecs", "encode"): _latin1,
    ("numpy", "dtype"): _DType,
    ("numpy", "ndarray"): _Array,
    ("torch", "Size"): tuple,
    ("torch._utils", "_rebuild_tensor"): _Tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _Tensor,
    ("torch._utils", "_rebuild_parameter"): _parameter,
}
for _numpy in ("numpy.core", "numpy._core"):
    _KNOWN[f"{_numpy}.multiarray", "_reconstruct"] = _Array
    _KNOWN[f"{_numpy}.multiarray", "scalar"] = _scalar
    _KNOWN[f"{_numpy}.numeric", "_frombuffer"] = _frombuffer


# Pickle's instructions that are left as they are.
_PLAIN = [
    getattr(pickle, name)[0]
    for name in (
        *("PROTO", "FRAME", "STOP", "MARK", "POP", "POP_MARK", "NONE", "NEWTRUE", "NEWFALSE"),
        *("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"),
        *("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINSTRING", "SHORT_BINSTRING"),
        *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "GLOBAL", "STACK_GLOBAL", "REDUCE"),
        *("EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "EMPTY_DICT"),
        *("EMPTY_LIST", "APPEND", "APPENDS", "BINPERSID"),
        *("BINPUT", "LONG_BINPUT", "MEMOIZE", "BINGET", "LONG_BINGET"),
    )
]


class _Instructions(dict):
    def __missing__(self, code: int) -> None:
        raise Refused(f"it holds more than weights (pickle's {chr(code)!r}), which was not run")


class _Unpickler(pickle._Unpickler):
    """Pickle's machine with the instructions that weights need, and nothing to call but `_KNOWN`.

    It is the standard library's pure Python one, in which instructions can be left out: there are
    no sets and no attributes, and a file cannot make the memo huge.
    """

    # Its own, of which type checkers know nothing.
    stack: list
    pop_mark: Callable[[], list]
    append: Callable[[Any], None]
    read: Callable[[int], bytes]

    def __init__(self, file: IO[bytes], storages: dict[str, _Storage]):
        super().__init__(file, encoding="latin1")
        self.storages = storages

    def load_build(self) -> None:
        state = self.stack.pop()
        if not isinstance(self.stack[-1], (_Array, _DType, _Dict)):
            raise Refused("it sets attributes of something that is no array")
        self.stack[-1].__setstate__(state)

    def load_setitem(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self.stack[-1][_name(key)] = value

    def load_setitems(self) -> None:
        items = self.pop_mark()
        for key, value in zip(items[::2], items[1::2]):
            self.stack[-1][_name(key)] = value

    def load_bytearray8(self) -> None:  # pickle's own fills the memory first, then reads
        self.append(self.read(int.from_bytes(self.read(8), "little")))

    dispatch: ClassVar = _Instructions({c: pickle._Unpickler.dispatch[c] for c in _PLAIN})
    dispatch[pickle.BYTEARRAY8[0]] = load_bytearray8
    dispatch[pickle.BUILD[0]] = load_build
    dispatch[pickle.SETITEM[0]] = load_setitem
    dispatch[pickle.SETITEMS[0]] = load_setitems

    def find_class(self, module: str, name: str) -> Any:
        if module in ("torch", "torch.storage") and name in _STORAGES:
            return _STORAGES[name]
        try:
            return _KNOWN[module, name]
        except KeyError:
            raise Refused(
                f"it names {module[:40]}.{name[:40]}, which is no weight, and was not run; "
                "save the network's state dict alone"
            ) from None

    def persistent_load(self, pid: Any) -> _Storage:
        kind, dtype, key, _, count = pid[:5]
        known = kind == "storage" and dtype in _STORAGES.values() and not (len(pid) > 5 and pid[5])
        if not known or type(count) is not int or count < 0:
            raise Refused("it refers to data outside itself")
        return self.storages.setdefault(str(_name(key)), _Storage(dtype, count))


def _read_pickle(file: IO[bytes]) -> Any:
    """A `.pdparams`, or a legacy `.pth`: three headers, the pickle, the keys, then raw storages."""
    storages: dict[str, _Storage] = {}
    content = _Unpickler(file, storages).load()
    if content != LEGACY_MAGIC:
        return content
    for _ in ("protocol", "system"):
        _Unpickler(file, storages).load()
    content = _Unpickler(file, storages).load()
    for key in _Unpickler(file, storages).load():
        storage = storages[str(_name(key))]
        if int.from_bytes(file.read(8), "little") != storage.count:
            raise Refused("its parts do not fit together")
        width = 2 if storage.dtype == "bf16" else np.dtype(storage.dtype).itemsize
        storage.fill(file.read(storage.count * width))
    return content


def _read_torch_zip(file: IO[bytes]) -> Any:
    storages: dict[str, _Storage] = {}
    with zipfile.ZipFile(file) as archive:
        entries = {entry.filename: entry for entry in archive.infolist()}
        pickles = [name for name in entries if name.endswith("data.pkl") and name.count("/") <= 1]
        if not pickles:
            raise Refused("it is a zip file, but holds no PyTorch weights")
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries.values()):
            raise Refused("it is compressed, which PyTorch's files never are")
        if sum(entry.file_size for entry in entries.values()) > file.seek(0, 2):
            raise Refused("its parts overlap")
        root = pickles[0][: -len("data.pkl")]
        order = archive.read(root + "byteorder") if root + "byteorder" in entries else b"little"
        with archive.open(pickles[0]) as data:
            content = _Unpickler(data, storages).load()
        for key, storage in storages.items():
            storage.fill(archive.read(f"{root}data/{key}"), ">" if order == b"big" else "<")
    return content


def _read_safetensors(path: Path) -> dict[str, Any]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="numpy") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise Refused("the file is cut off or damaged") from error
    except (TypeError, AttributeError) as error:
        raise Refused("its numbers are of a kind that numpy lacks; save it as float32") from error


def _state_dict(content: Any, room: int) -> dict[str, np.ndarray]:
    if not isinstance(content, dict):
        raise Refused("it holds no state dict")
    arrays = {}
    for name, value in content.items():
        array = _as_array(value)
        if array is not None:
            name = str(name)
            if len(name) > LONGEST_NAME:
                raise Refused(f"it has an array with a name of {len(name)} letters")
            room -= 4 * array.size
            if room < 0:
                raise Refused("its tensors share their data too often")
            arrays[name] = np.ascontiguousarray(array, "float32").reshape(array.shape)
    inner = [content[key] for key in WRAPPERS if isinstance(content.get(key), dict)]
    if inner and not any(name.endswith((".weight", "_weight")) for name in arrays):
        return _state_dict(inner[0], room)
    if not arrays:
        raise Refused("it holds no weights")
    return arrays


def _as_array(value: Any) -> np.ndarray | None:
    """The array in a pickle's stand-in; Paddle also writes a tensor as a pair (name, array)."""
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], str):
        value = value[1]
    if isinstance(value, (_Array, _Tensor)):
        value = value.array()
    return value if isinstance(value, np.ndarray) else None
