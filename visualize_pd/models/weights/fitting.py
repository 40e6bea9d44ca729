"""Match the arrays of a weight file with the parameters of a network."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import paddle
from paddle import nn

from ...core.errors import WeightsError
from .checkpoints import read_checkpoint
from .exported import EXPORTED, by_parameter

EXPORTED_HINT = (
    "; an exported network gives no gradient, and its weights may be renamed or merged; name its "
    "architecture as model.name, and the .pdparams of its training as model.weights"
)
LOSS = "loss_func."  # what PaddleClas saves with a network if its loss has weights too
Translate = Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]


def load_weights(network: nn.Layer, path: str | Path, translate: Translate | None = None) -> None:
    """Read a weight file and load it into `network`. The file must hold every parameter of it.

    Prefixes that all names share are removed. PyTorch's names for BatchNorm and its transposed
    Linear weights are converted. `translate` maps older names of the model. Raises `WeightsError`
    for arrays that are missing, unknown or of another shape. The message gives their names.
    """
    path = Path(path)
    arrays: dict[str, Any] = fit(read_checkpoint(path), network, path, translate)
    for name, value in network.state_dict().items():
        if value.dtype != paddle.float32:  # a counter, or a network in half precision
            arrays[name] = paddle.to_tensor(arrays[name]).astype(value.dtype)
    network.set_state_dict(arrays)


def fit(
    arrays: dict[str, np.ndarray],
    network: nn.Layer,
    path: Path,
    translate: Translate | None = None,
) -> dict[str, np.ndarray]:
    """Convert arrays to the names and shapes of a network's state, or raise `WeightsError`."""
    wanted = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    arrays = {name if name in wanted else _plain(name): a for name, a in arrays.items()}
    arrays = {name: a for name, a in arrays.items() if name and not name.startswith(LOSS)}
    exported = path.suffix.lower() in EXPORTED
    if exported:
        arrays = by_parameter(arrays, network)
    while not arrays.keys() & wanted.keys():
        translated = translate(arrays) if translate else arrays
        prefix = _shared_prefix(arrays)
        if translated is not arrays or not prefix:
            arrays = translated
            break
        arrays = {name[len(prefix) :]: array for name, array in arrays.items()}
    arrays = _one_network(arrays, list(wanted))
    arrays = _paddle_linears(arrays, network, path)

    missing = [name for name in wanted if name not in arrays]
    extra = [name for name in arrays if name not in wanted]
    shapes = [
        f"{name} is {list(arrays[name].shape)} where {list(shape)} is needed"
        for name, shape in wanted.items()
        if name in arrays and arrays[name].shape != shape
    ]
    problems = [
        f"{what} {_some(names)}"
        for what, names in (("missing:", missing), ("not known:", extra), ("shape:", shapes))
        if names
    ]
    if problems:
        hint = ""
        if not missing + extra:
            hint = "; set model.num_classes to the number in the file"
        elif exported:
            hint = EXPORTED_HINT
        raise WeightsError(
            f"the weights {path} do not fit {type(network).__name__}: {'; '.join(problems)}{hint}"
        )
    return arrays


def _plain(name: str) -> str:
    """Paddle's name for PyTorch's BatchNorm statistics. PyTorch's batch counter gets no name."""
    if name.endswith("num_batches_tracked"):
        return ""
    name = re.sub(r"(^|\.)running_mean$", r"\1_mean", name)
    return re.sub(r"(^|\.)running_var$", r"\1_variance", name)


def _one_network(arrays: dict, wanted: list[str]) -> dict:
    """The arrays of one network in a checkpoint of several, such as `Student.` and `Teacher.`.

    It is the first whose prefix stands before every wanted name. A teacher comes last, as the
    student is what a distillation is for.
    """
    if not wanted or wanted[0] in arrays:
        return arrays
    names = [name for name in arrays if name.endswith(f".{wanted[0]}")]
    prefixes = [name[: -len(wanted[0])] for name in names]
    for prefix in sorted(prefixes, key=lambda each: "teacher" in each.lower()):
        if all(prefix + name in arrays for name in wanted):
            own = ((name, array) for name, array in arrays.items() if name.startswith(prefix))
            return {name[len(prefix) :]: array for name, array in own}
    return arrays


def _shared_prefix(arrays: dict) -> str:
    first = next(iter(arrays), "").partition(".")[0] + "."
    return first if all(name.startswith(first) for name in arrays) and arrays else ""


def _paddle_linears(arrays: dict, network: nn.Layer, path: Path) -> dict:
    """Transpose PyTorch's Linear weights [out, in] to Paddle's [in, out].

    Weights that are not square show which of the two a file has. If all are square, the suffix of
    the file decides.
    """
    layers = network.sublayers(include_self=True)
    weights = {id(layer.weight) for layer in layers if isinstance(layer, nn.Linear)}
    state = network.state_dict().items()
    linears = {name: tuple(value.shape) for name, value in state if id(value) in weights}
    shapes = [(arrays[name].shape, s) for name, s in linears.items() if name in arrays]
    not_square = [(stored, shape) for stored, shape in shapes if shape[0] != shape[1]]
    if not_square:
        torch = any(stored == shape[::-1] for stored, shape in not_square)
    else:
        torch = path.suffix.lower() in (".pth", ".pt")
    if not torch:
        return arrays
    return {
        name: array.T if name in linears and array.ndim == 2 else array
        for name, array in arrays.items()
    }


def _some(names: list[str], limit: int = 5) -> str:
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more
