"""Read the weights of exported networks: ONNX files and Paddle's inference models.

Only the numbers are read. The program of the network is never run. An inference model has two
files: `.pdiparams` holds the arrays one after another, without names. The program beside it, a
`.json` of Paddle 3 or a `.pdmodel` of Paddle 2, has the names. Their order is alphabetical.
"""

from __future__ import annotations

import json
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
import paddle

from .unpickling import Refused

EXPORTED = (".onnx", ".pdiparams", ".json", ".pdmodel")
# Numbers of Paddle's VarType.Type. bfloat16, which NumPy does not have, is read as uint16.
TYPES = {
    **{0: "bool", 1: "<i2", 2: "<i4", 3: "<i8", 4: "<f2", 5: "<f4", 6: "<f8"},
    **{20: "u1", 21: "i1", 22: "<u2"},
}
BFLOAT16 = 22
FED = (9, 10)  # variables through which a program gets and returns its tensors
MOST_BYTES_OF_A_SHAPE = 4096
LARGEST_PROGRAM = 16 << 20  # bytes; a layer takes about two thousand


def by_parameter(arrays: dict[str, Any], network: paddle.nn.Layer) -> dict[str, Any]:
    """Arrays under the names of a network's state, if they have those of Paddle's parameters.

    The number in `conv2d_0.w_0` depends on what was built before in the same process. So the n-th
    convolution in the file is the n-th one of the network, if there are as many, and so on. Arrays
    that are no parameters, such as constants, are left out. If none is one, all stay as they are.
    """
    state = {value.name: name for name, value in network.state_dict().items()}
    values = [*network.state_dict().values(), *network.buffers()]
    plain = {re.sub(r"_deepcopy_\d+$", "", name): array for name, array in arrays.items()}
    stored, own = _kinds(plain.items()), _kinds((value.name, value) for value in values)
    if len(plain) < len(arrays) or not stored.keys() & own.keys():
        return arrays
    result = {}
    for kind, names in stored.items():
        wanted = own.get(kind, [])
        if len(wanted) == len(names) and _is_ordered(kind, [plain[name] for name in names]):
            result.update({state[w]: plain[n] for w, n in zip(wanted, names) if w in state})
        elif wanted or kind[1].startswith("."):  # of other layers: they are refused by their names
            result.update({name: plain[name] for name in names})
    return result


def _kinds(named: Iterable[tuple[str, Any]]) -> dict[tuple[str, str], list[str]]:
    """Names by the type of their layer and of the parameter in it, in the order of building.

    A buffer has only a number. Its second part here is its shape. A name that someone chose, such
    as `conv1_weights`, is a type of its own.
    """
    kinds: dict[tuple[str, str], set[tuple[int, str]]] = defaultdict(set)
    for name, array in named:
        match = re.fullmatch(r"(.+?)_(\d+)(\.[a-z]+_\d+)?", name)
        layer, number, parameter = match.groups() if match else (name, "0", "")
        kinds[layer, parameter or (str(list(array.shape)) if match else "")].add(
            (int(number), name)
        )
    return {kind: [name for _, name in sorted(found)] for kind, found in kinds.items()}


def _is_ordered(kind: tuple[str, str], arrays: list[np.ndarray]) -> bool:
    """Whether the order of arrays is known, or does not matter.

    Paddle gives a buffer its number when its name is first asked for, and not in building.
    """
    return kind[1][:1] != "[" or all(np.array_equal(array, arrays[0]) for array in arrays)


def read_exported(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an exported network by their names in the file.

    `path` may be any file of an inference model. Raises `Refused` if one is missing or damaged.
    """
    if path.suffix.lower() == ".onnx":
        return _read_onnx(path)
    weights = path.with_suffix(".pdiparams")
    programs = [path.with_suffix(suffix) for suffix in (".json", ".pdmodel")]
    program = next((each for each in programs if each.is_file()), None)
    if program is None or not weights.is_file():
        missing = "its .pdiparams" if program else "its program, a .json or a .pdmodel,"
        raise Refused(
            f"{missing} is not in the same folder; or name the .pdparams of the training, "
            "because an exported network gives no gradient"
        )
    if program.stat().st_size > LARGEST_PROGRAM:
        raise Refused(f"{program.name} is too large for a program")
    names = _names_in_json(program) if program.suffix == ".json" else _names_in_pdmodel(program)
    with open(weights, "rb") as file:
        arrays = {name: _read_tensor(file) for name in sorted(names)}
        if file.read(1):
            raise Refused(f"it holds more arrays than {program.name} names")
    if any(array.dtype == "i1" and ".w_" in name for name, array in arrays.items()):
        raise Refused("its weights are quantised; export the network in float32")
    return arrays


def _read_onnx(path: Path) -> dict[str, np.ndarray]:
    try:
        import onnx
        from onnx import numpy_helper
    except ImportError:
        raise Refused("the package onnx is needed for it; type: pip install onnx") from None
    floats = {getattr(onnx.TensorProto, kind) for kind in ("FLOAT", "FLOAT16", "DOUBLE")}
    graph = onnx.load(str(path), load_external_data=False).graph
    arrays = {}
    for each in graph.initializer:
        if each.data_location == onnx.TensorProto.EXTERNAL:
            raise Refused("its arrays lie in another file; save it as a single file")
        if each.data_type in floats:  # the others are shapes and indices
            arrays[each.name] = numpy_helper.to_array(each)
    for shaped, name in _biases(graph.node):
        if shaped in arrays and name not in arrays:
            arrays[name] = arrays.pop(shaped).reshape(-1)
    return arrays


def _biases(nodes: Iterable[Any]) -> Iterator[tuple[str, str]]:
    """The names of biases that an export adds after a convolution, and those they had before it.

    Paddle's export reshapes them to `[1, C, 1, 1]` and gives them names of its own.
    """
    weights = {node.output[0]: node.input[1] for node in nodes if node.op_type == "Conv"}
    for node in nodes:
        if node.op_type == "Add" and node.input[0] in weights:
            name, found, _ = weights[node.input[0]].rpartition(".w_0")
            if found:
                yield node.input[1], f"{name}.b_0"


def _names_in_json(path: Path) -> list[str]:
    """The parameters of a program of Paddle 3: operations `p`, whose last attribute is a name."""
    text = path.read_text(encoding="utf-8")
    program = json.loads(text, parse_int=float)  # to read a very long int takes very long
    if not isinstance(program, dict) or "program" not in program:
        raise Refused(f"{path.name} beside it is not the program of an inference model")
    operations = program["program"]["regions"][0]["blocks"][0]["ops"]
    return [each["A"][-1] for each in operations if each["#"] == "p"]


def _names_in_pdmodel(path: Path) -> list[str]:
    """The persistable variables of a program of Paddle 2, a protobuf message `ProgramDesc`."""
    names = []
    for block in _fields(path.read_bytes(), 1):
        for variable in _fields(block, 3):
            kind = next(_fields(next(_fields(variable, 2)), 1))
            if any(_fields(variable, 3)) and kind not in FED:
                names.append(next(_fields(variable, 1)).decode())
    return names


def _fields(message: bytes, wanted: int) -> Iterator[Any]:
    """The values of one field of a protobuf message: whole numbers, or bytes."""
    place = 0
    while place < len(message):
        key, place = _varint(message, place)
        value: Any
        if key & 7 == 0:
            value, place = _varint(message, place)
        else:
            size, place = (
                _varint(message, place) if key & 7 == 2 else ({1: 8, 5: 4}[key & 7], place)
            )
            value, place = message[place : place + size], place + size
            if place > len(message):
                raise ValueError
        if key >> 3 == wanted:
            yield value


def _varint(message: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[place]
        value |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if byte < 128:
            return value, place
        if shift > 63:
            raise ValueError


def _read_tensor(file: IO[bytes]) -> np.ndarray:
    """The next tensor: a version, levels of detail, a version, a `TensorDesc`, and the numbers."""
    _number(file, 4)
    for _ in range(_number(file, 8)):
        _exactly(file, _number(file, 8))
    _number(file, 4)
    description = _exactly(file, min(_number(file, 4), MOST_BYTES_OF_A_SHAPE))
    kind = next(_fields(description, 1))
    shape = list(_fields(description, 2))
    dtype = np.dtype(TYPES[kind])
    data = _exactly(file, int(np.prod(shape, dtype=object)) * dtype.itemsize)
    array = np.frombuffer(data, dtype).reshape(shape)
    if kind == BFLOAT16:
        array = (array.astype("uint32") << 16).view("float32")
    return array


def _number(file: IO[bytes], size: int) -> int:
    return int.from_bytes(_exactly(file, size), "little")


def _exactly(file: IO[bytes], size: int) -> bytes:
    if size > os.fstat(file.fileno()).st_size:  # before memory is taken for it
        raise EOFError
    data = file.read(size)
    if len(data) != size:
        raise EOFError
    return data
