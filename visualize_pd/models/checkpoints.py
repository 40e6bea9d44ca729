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
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import numpy as np

from ..errors import WeightsError

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
        with open(path, "rb") as file:
            start = file.read(9)
            file.seek(0)
            if start.startswith(b"PK\x03\x04"):
                content = _read_torch_zip(file)
            elif start.startswith(b"\x80"):
                content = _read_pickle(file)
            elif start[8:] == b"{":
                content = _read_safetensors(path)
            else:
                raise Refused("it is none of .pdparams, .pth and .safetensors")
        return _state_dict(content)
    except Refused as error:
        raise WeightsError(f"cannot use the weights {path}: {error}") from error
    except FileNotFoundError:
        raise WeightsError(f"no such weight file: {path}") from None
    except Exception as error:  # a damaged pickle or archive can raise nearly anything
        reason = getattr(error, "strerror", None) or "the file is cut off or damaged"
        raise WeightsError(f"cannot read the weights {path}: {reason}") from error


# What a pickle may build. Nothing below runs, imports or opens anything.


class _Dict(dict):
    """An OrderedDict without the attributes that a pickle would hang onto it."""

    def __setstate__(self, state: Any) -> None:
        pass


class _DType:
    """A numpy dtype: a kind and a size, such as "f4", then a byte order."""

    def __init__(self, code: str, *_: Any):
        order, kind = ("<", code) if code[:1].isalpha() else (code[:1], code[1:])
        if kind not in ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"):
            raise Refused(f"it holds an array of {code!r}, not of numbers")
        self.dtype = np.dtype(kind).newbyteorder(">" if order == ">" else "<")

    def __setstate__(self, state: tuple) -> None:
        self.dtype = self.dtype.newbyteorder(">" if state[1] == ">" else "<")


class _Array:
    """A numpy array: shape, dtype and bytes arrive in `__setstate__`."""

    def __init__(self, *_: Any):
        self.values = None

    def __setstate__(self, state: tuple) -> None:
        _, shape, dtype, fortran, data = state
        if isinstance(data, str):
            data = data.encode("latin1")
        order = "F" if fortran else "C"
        self.values = np.frombuffer(data, dtype.dtype).reshape(shape, order=order)

    def array(self) -> np.ndarray | None:
        return self.values


class _Storage:
    """A flat run of numbers that tensors look into; its bytes may come after the pickle."""

    def __init__(self, dtype: str, count: int):
        self.dtype = dtype
        self.count = count
        self.values = None

    def fill(self, data: bytes, byteorder: str = "<") -> None:
        if self.dtype == "bf16":  # the upper half of a float32
            halves = np.frombuffer(data, np.dtype("u2").newbyteorder(byteorder), self.count)
            self.values = (halves.astype("u4") << 16).view("f4")
        else:
            dtype = np.dtype(self.dtype).newbyteorder(byteorder)
            self.values = np.frombuffer(data, dtype, self.count)


class _Tensor:
    """A strided view of a storage."""

    def __init__(self, storage: _Storage, offset: int, size: tuple, stride: tuple, *_: Any):
        self.storage, self.offset = storage, offset
        self.size, self.stride = tuple(size), tuple(stride)

    def array(self) -> np.ndarray:
        values, count = self.storage.values, math.prod(self.size)
        if count == 0:
            return np.zeros(self.size, "f4")
        last = self.offset + sum((n - 1) * s for n, s in zip(self.size, self.stride))
        signs = (self.offset, *self.stride, *self.size)
        if len(self.size) != len(self.stride) or min(signs) < 0:
            raise Refused("a tensor has an impossible shape")
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
    if encoding not in ("latin1", "latin-1"):
        raise Refused(f"it asks for the text encoding {encoding!r}")
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
    ("builtins", "set"): set,
    ("__builtin__", "tuple"): tuple,
    ("__builtin__", "set"): set,
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


class _Unpickler(pickle._Unpickler):
    """Pickle's machine, with nothing to call but what stands in `_KNOWN`.

    It is the standard library's pure Python one: a hostile file cannot make its memo huge, and the
    instruction that sets attributes can be limited.
    """

    dispatch: ClassVar = dict(pickle._Unpickler.dispatch)

    def __init__(self, file: BinaryIO, storages: dict[str, _Storage]):
        super().__init__(file, encoding="latin1")
        self.storages = storages

    def load_build(self) -> None:
        state = self.stack.pop()
        if not isinstance(self.stack[-1], (_Array, _DType, _Dict)):
            raise Refused("it sets attributes of something that is no array")
        self.stack[-1].__setstate__(state)

    dispatch[pickle.BUILD[0]] = load_build

    def find_class(self, module: str, name: str) -> Any:
        if module in ("torch", "torch.storage") and name in _STORAGES:
            return _STORAGES[name]
        try:
            return _KNOWN[module, name]
        except KeyError:
            raise Refused(
                f"it names {module}.{name}, which is no weight, and was not run; "
                "save the network's state dict alone"
            ) from None

    def persistent_load(self, pid: Any) -> _Storage:
        kind, dtype, key, _, count = pid[:5]
        if kind != "storage" or dtype not in _STORAGES.values() or (len(pid) > 5 and pid[5]):
            raise Refused("it refers to data outside itself")
        return self.storages.setdefault(str(key), _Storage(dtype, int(count)))


def _read_pickle(file: BinaryIO) -> Any:
    """A `.pdparams`, or a legacy `.pth`: three headers, the pickle, the keys, then raw storages."""
    storages: dict[str, _Storage] = {}
    content = _Unpickler(file, storages).load()
    if content != LEGACY_MAGIC:
        return content
    for _ in ("protocol", "system"):
        _Unpickler(file, storages).load()
    content = _Unpickler(file, storages).load()
    for key in _Unpickler(file, storages).load():
        storage = storages[str(key)]
        if int.from_bytes(file.read(8), "little") != storage.count:
            raise Refused("its parts do not fit together")
        width = 2 if storage.dtype == "bf16" else np.dtype(storage.dtype).itemsize
        storage.fill(file.read(storage.count * width))
    return content


def _read_torch_zip(file: BinaryIO) -> Any:
    storages: dict[str, _Storage] = {}
    with zipfile.ZipFile(file) as archive:
        entries = {entry.filename: entry for entry in archive.infolist()}
        pickles = [name for name in entries if name.endswith("data.pkl") and name.count("/") <= 1]
        if not pickles:
            raise Refused("it is a zip file, but holds no PyTorch weights")
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries.values()):
            raise Refused("it is compressed, which PyTorch's files never are")
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


def _state_dict(content: Any) -> dict[str, np.ndarray]:
    if not isinstance(content, dict):
        raise Refused("it holds no state dict")
    arrays = {}
    for name, value in content.items():
        array = _as_array(value)
        if array is not None:
            arrays[str(name)] = array
    inner = [content[key] for key in WRAPPERS if isinstance(content.get(key), dict)]
    if inner and not any(name.endswith((".weight", "_weight")) for name in arrays):
        return _state_dict(inner[0])
    if not arrays:
        raise Refused("it holds no weights")
    return arrays


def _as_array(value: Any) -> np.ndarray | None:
    """The array in a pickle's stand-in; Paddle also writes a tensor as a pair (name, array)."""
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], str):
        value = value[1]
    if isinstance(value, (_Array, _Tensor)):
        value = value.array()
    if not isinstance(value, np.ndarray):
        return None
    return np.ascontiguousarray(value, dtype="float32").reshape(value.shape)
