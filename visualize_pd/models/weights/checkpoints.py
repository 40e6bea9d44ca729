"""Read weight files as `{name: float32 array}`, without PyTorch, and without running their content.

These kinds of files are read: Paddle's `.pdparams`, PyTorch's `.pth` (the zip format since PyTorch
1.6, and the legacy format before it) and `.safetensors`. Their kind is found from the first bytes
of the file, not from its name. Exported networks are found by their suffix: ONNX files, and the
`.pdiparams` of Paddle's inference models.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np

from ...core.errors import WeightsError
from ...core.files import is_pipe_or_device
from .exported import EXPORTED, read_exported
from .unpickling import Refused, Storage, StoredArray, StoredTensor, WeightsUnpickler, checked_key

# The most bytes of float32 arrays for each byte of a file. An int8 number becomes 4 bytes, and
# tensors can share data.
UNFOLDED = 8
LONGEST_NAME = 1000  # each dot in a name may end a prefix, and `fit` removes them one by one
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
WRAPPERS = ("state_dict", "model_state_dict", "model", "network", "net", "params", "state_dict_ema")


def read_checkpoint(path: str | Path) -> dict[str, np.ndarray]:
    """The arrays of a weight file by their names. Wrappers such as `state_dict` are removed.

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
            if path.suffix.lower() in EXPORTED:
                content = read_exported(path)
                return _state_dict(content, sum(array.size * 4 for array in content.values()))
            # The length of the header comes first. Its lowest byte may be 0x80, as in a pickle.
            if start[8:] == b"{" and int.from_bytes(start[:8], "little") < size:
                content = _read_safetensors(path)
            elif start.startswith(b"PK\x03\x04"):
                content = _read_torch_zip(file)
            elif start.startswith(b"\x80"):
                content = _read_pickle(file)
            else:
                raise Refused("it is not a .pdparams, .pth or .safetensors file, or it is cut off")
        return _state_dict(content, UNFOLDED * size)
    except Refused as error:
        raise WeightsError(f"cannot use the weights {path}: {error}") from error
    except FileNotFoundError:
        raise WeightsError(f"no such weight file: {path}") from None
    except Exception as error:  # a damaged pickle or archive can raise almost any error
        reason = getattr(error, "strerror", None) or "the file is cut off or damaged"
        raise WeightsError(f"cannot read the weights {path}: {reason}") from error


def _read_pickle(file: IO[bytes]) -> Any:
    """Read a `.pdparams` or a legacy `.pth`.

    A legacy `.pth` holds three headers, the pickle, the keys, and then the raw storages.
    """
    storages: dict[str, Storage] = {}
    content = WeightsUnpickler(file, storages).load()
    if content != LEGACY_MAGIC:
        return content
    for _ in ("protocol", "system"):
        WeightsUnpickler(file, storages).load()
    content = WeightsUnpickler(file, storages).load()
    for key in WeightsUnpickler(file, storages).load():
        storage = storages[str(checked_key(key))]
        if int.from_bytes(file.read(8), "little") != storage.count:
            raise Refused("its parts do not fit together")
        width = 2 if storage.dtype == "bf16" else np.dtype(storage.dtype).itemsize
        storage.fill(file.read(storage.count * width))
    return content


def _read_torch_zip(file: IO[bytes]) -> Any:
    storages: dict[str, Storage] = {}
    with zipfile.ZipFile(file) as archive:
        entries = {entry.filename: entry for entry in archive.infolist()}
        pickles = [name for name in entries if name.endswith("data.pkl") and name.count("/") <= 1]
        if not pickles:
            raise Refused("it is a zip file, but holds no PyTorch weights")
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries.values()):
            raise Refused("it is a compressed zip file, and PyTorch never compresses weights")
        if sum(entry.file_size for entry in entries.values()) > file.seek(0, 2):
            raise Refused("its parts overlap")
        root = pickles[0][: -len("data.pkl")]
        order = archive.read(root + "byteorder") if root + "byteorder" in entries else b"little"
        with archive.open(pickles[0]) as data:
            content = WeightsUnpickler(data, storages).load()
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
        raise Refused("numpy cannot hold its type of numbers; save it as float32") from error


def _state_dict(content: Any, room: int) -> dict[str, np.ndarray]:
    if not isinstance(content, dict):
        raise Refused("it contains no state dict")
    arrays = {}
    for name, value in content.items():
        array = _as_array(value)
        if array is not None:
            name = str(name)
            if len(name) > LONGEST_NAME:
                raise Refused(f"the name of an array in it is too long: {len(name)} letters")
            room -= 4 * array.size
            if room < 0:
                raise Refused("too many of its tensors share the same data")
            arrays[name] = np.ascontiguousarray(array, "float32").reshape(array.shape)
    inner = [content[key] for key in WRAPPERS if isinstance(content.get(key), dict)]
    if inner and not any(name.endswith((".weight", "_weight")) for name in arrays):
        return _state_dict(inner[0], room)
    if not arrays:
        raise Refused("it holds no weights")
    return arrays


def _as_array(value: Any) -> np.ndarray | None:
    """The array of one value in a pickle. Paddle also writes a tensor as a pair (name, array)."""
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], str):
        value = value[1]
    if isinstance(value, (StoredArray, StoredTensor)):
        value = value.array()
    return value if isinstance(value, np.ndarray) else None
