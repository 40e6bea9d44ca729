"""Read pickles of weights without running any code in them.

A pickle can name any function of any module, and Python would then call it. Here a pickle can only
build arrays, tensors, dicts and numbers. Any other pickle is refused.
"""

from __future__ import annotations

import codecs
import math
import pickle
from collections.abc import Callable
from typing import IO, Any, ClassVar, Literal

import numpy as np


class Refused(Exception):
    """The file holds something that is not a weight."""


# The objects that a pickle may build. Nothing below runs, imports or opens anything.


def checked_key(key: Any) -> Any:
    """A key of a dict, if it is a text or a number.

    Tuples are refused. To hash deeply nested tuples can take forever or crash the process.
    """
    if not isinstance(key, (str, bytes, int, float)):
        raise Refused("a key in it is neither a text nor a number")
    return key


class _Dict(dict):
    """An OrderedDict. The attributes that a pickle sets on it are ignored."""

    def __init__(self, pairs: Any = ()):
        super().__init__()
        for key, value in pairs:
            self[checked_key(key)] = value

    def __setstate__(self, state: Any) -> None:
        pass


class _DType:
    """A numpy dtype: first its kind and size, such as "f4", then its byte order."""

    def __init__(self, code: str, *_: Any):
        if not isinstance(code, str):
            raise Refused("an array in it does not contain numbers")
        order, kind = ("<", code) if code[:1].isalpha() else (code[:1], code[1:])
        if kind not in ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"):
            raise Refused(f"an array in it contains {code[:20]!r}, not numbers")
        self.dtype = np.dtype(kind).newbyteorder(">" if order == ">" else "<")

    def __setstate__(self, state: tuple) -> None:
        self.dtype = self.dtype.newbyteorder(">" if state[1] == ">" else "<")


class StoredArray:
    """A numpy array. `__setstate__` gets its shape, dtype and bytes."""

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
            return _bfloat16(self.values)  # Paddle writes bfloat16 as u2
        return self.values


def _bfloat16(halves: np.ndarray) -> np.ndarray:
    """Turn bfloat16 into float32. A bfloat16 number is the upper half of a float32 number."""
    return (halves.astype("u4") << 16).view("f4")


class Storage:
    """A flat array of numbers to which tensors refer. Its bytes may follow after the pickle."""

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


class StoredTensor:
    """A tensor: a strided view of a storage."""

    def __init__(self, storage: Storage, offset: int, size: tuple, stride: tuple, *_: Any):
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
            raise Refused("a tensor is larger than its data")
        strides = [s * values.itemsize for s in self.stride]
        return np.lib.stride_tricks.as_strided(values[self.offset :], self.size, strides)


def _parameter(tensor: Any, *_: Any) -> Any:
    return tensor


def _frombuffer(data: Any, dtype: Any, shape: Any, order: Any = "C") -> StoredArray:
    array = StoredArray()
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
    ("numpy", "ndarray"): StoredArray,
    ("torch", "Size"): tuple,
    ("torch._utils", "_rebuild_tensor"): StoredTensor,
    ("torch._utils", "_rebuild_tensor_v2"): StoredTensor,
    ("torch._utils", "_rebuild_parameter"): _parameter,
}


for _numpy in ("numpy.core", "numpy._core"):
    _KNOWN[f"{_numpy}.multiarray", "_reconstruct"] = StoredArray
    _KNOWN[f"{_numpy}.multiarray", "scalar"] = _scalar
    _KNOWN[f"{_numpy}.numeric", "_frombuffer"] = _frombuffer


# The instructions of pickle that are used unchanged.
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
        raise Refused(
            f"it holds more than weights (pickle's instruction {chr(code)!r}), which was not run"
        )


class WeightsUnpickler(pickle._Unpickler):
    """An unpickler with only the instructions that weights need. It can call only `_KNOWN`.

    It is the standard library's unpickler in pure Python, in which instructions can be left out. It
    has no sets and no attributes, and a file cannot make its memo huge.
    """

    # Attributes of the base class that type checkers do not know.
    stack: list
    pop_mark: Callable[[], list]
    append: Callable[[Any], None]
    read: Callable[[int], bytes]

    def __init__(self, file: IO[bytes], storages: dict[str, Storage]):
        super().__init__(file, encoding="latin1")
        self.storages = storages

    def load_build(self) -> None:
        state = self.stack.pop()
        if not isinstance(self.stack[-1], (StoredArray, _DType, _Dict)):
            raise Refused("it sets attributes of something that is not an array")
        self.stack[-1].__setstate__(state)

    def load_setitem(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self.stack[-1][checked_key(key)] = value

    def load_setitems(self) -> None:
        items = self.pop_mark()
        for key, value in zip(items[::2], items[1::2]):
            self.stack[-1][checked_key(key)] = value

    def load_bytearray8(self) -> None:  # pickle's own version allocates the memory before it reads
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
                f"it names {module[:40]}.{name[:40]}, which is not a weight and was not run; "
                "save only the state dict of the network"
            ) from None

    def persistent_load(self, pid: Any) -> Storage:
        kind, dtype, key, _, count = pid[:5]
        known = kind == "storage" and dtype in _STORAGES.values() and not (len(pid) > 5 and pid[5])
        if not known or type(count) is not int or count < 0:
            raise Refused("it refers to data outside the file")
        return self.storages.setdefault(str(checked_key(key)), Storage(dtype, count))
