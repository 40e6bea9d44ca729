"""Weights: find a file, or download one; fit it to a network, or refuse it."""

from __future__ import annotations

import hashlib
import http.client
import queue
import re
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import paddle
from paddle import nn

from ..errors import OutputError, WeightsError
from ..files import whole_file
from .checkpoints import read_checkpoint

SUFFIXES = (".pdparams", ".safetensors", ".pth", ".pt")
FIRST_BYTE_SECONDS = 4.0  # for name look-up, connection, encryption and the server's first answer
STALL_SECONDS = 15.0  # for each further chunk
CHUNK = 1 << 16

Translate = Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]


def weights_folder() -> Path:
    """`weights/` here, else the one of the clone that the package runs from."""
    clone = Path(__file__).resolve().parents[2] / "weights"
    return clone if clone.is_dir() and not Path("weights").is_dir() else Path("weights")


def find_weights(name: str, folder: Path | None = None) -> Path | None:
    """The file in `weights/` whose name is `name`, or begins with it and goes on with - _ or a dot.

    Case does not matter; of several, Paddle's own format comes first.
    """
    folder = folder or weights_folder()
    if not folder.is_dir():
        return None
    fits = re.compile(rf"{re.escape(name)}([-_.].*)?", re.IGNORECASE)
    found = [f for f in folder.iterdir() if f.suffix.lower() in SUFFIXES and fits.fullmatch(f.stem)]
    found = [f for f in found if f.is_file()]
    return min(found, key=lambda f: (SUFFIXES.index(f.suffix.lower()), f.name), default=None)


def zoo_url(name: str) -> tuple[str, str] | None:
    """The URL and md5 of a network's weights in Paddle's own model zoo."""
    builder = getattr(paddle.vision.models, name, None)
    module = sys.modules.get(getattr(builder, "__module__", ""), None)
    return getattr(module, "model_urls", {}).get(name)


def download(url: str, md5: str, path: Path) -> Path:
    """Fetch `url` into `path`: whole and with the right md5, or not at all.

    Gives up after 4 seconds without a first byte, wherever the silence comes from, and after 15
    seconds without 64 KiB more. Raises `WeightsError`.
    """
    from tqdm import tqdm

    digest = hashlib.md5(usedforsecurity=False)
    chunks = _fetch(url)
    total = next(chunks)
    bar = tqdm(total=total, unit="B", unit_scale=True, unit_divisor=1024, desc=path.name)
    received = 0
    try:
        with bar, whole_file(path) as file:
            for chunk in chunks:
                file.write(chunk)
                digest.update(chunk)
                received += len(chunk)
                bar.update(len(chunk))
            if total is not None and received != total:
                raise WeightsError(f"{url} was cut off at {received} of {total} bytes")
            if digest.hexdigest() != md5:
                raise WeightsError(f"what {url} sent is damaged (wrong md5); nothing was kept")
    except OutputError as error:
        raise WeightsError(f"cannot keep what was downloaded: {error}") from error
    return path


def _fetch(url: str) -> Iterator[Any]:
    """First the length that the server announces (or None), then the chunks, under deadlines.

    The waiting is done in a thread: looking up a name cannot be given a time limit.
    """
    arrivals: queue.Queue = queue.Queue(maxsize=64)
    abandoned = threading.Event()

    def put(item: Any) -> None:
        while not abandoned.is_set():
            try:
                return arrivals.put(item, timeout=0.5)
            except queue.Full:
                continue

    def work() -> None:
        try:
            with urllib.request.urlopen(url, timeout=STALL_SECONDS) as response:
                length = response.headers.get("Content-Length", "")
                put(int(length) if length.isdigit() else None)
                while not abandoned.is_set():
                    chunk = response.read(CHUNK)
                    put(chunk)
                    if not chunk:
                        break
        except (OSError, ValueError, http.client.HTTPException) as error:
            put(error)

    threading.Thread(target=work, daemon=True).start()
    patience = FIRST_BYTE_SECONDS
    try:
        while True:
            try:
                item = arrivals.get(timeout=patience)
            except queue.Empty:
                raise WeightsError(f"no answer from {url} for {patience:.0f} seconds") from None
            if isinstance(item, Exception):
                reason = getattr(item, "reason", None) or item
                raise WeightsError(f"cannot download {url}: {reason}") from item
            if item == b"":
                return
            yield item
            patience = STALL_SECONDS
    finally:
        abandoned.set()


def load_weights(network: nn.Layer, path: str | Path, translate: Translate | None = None) -> None:
    """Read a weight file and put it into `network`, every parameter of which must be there.

    Prefixes that all names share, PyTorch's names for BatchNorm and its transposed Linear weights
    are recognised; `translate` maps a model's own older names. Raises `WeightsError` with the names
    that are missing, left over or of another shape.
    """
    path = Path(path)
    arrays: dict[str, Any] = fit(read_checkpoint(path), network, path, translate)
    for name, value in network.state_dict().items():  # a counter, or a network in half precision
        if value.dtype != paddle.float32:
            arrays[name] = paddle.to_tensor(arrays[name]).astype(value.dtype)
    network.set_state_dict(arrays)


def fit(
    arrays: dict[str, np.ndarray],
    network: nn.Layer,
    path: Path,
    translate: Translate | None = None,
) -> dict[str, np.ndarray]:
    """Bring arrays to the names and shapes of a network's state, or raise `WeightsError`."""
    wanted = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    arrays = {name if name in wanted else _plain(name): a for name, a in arrays.items()}
    arrays.pop("", None)
    while not arrays.keys() & wanted.keys():
        translated = translate(arrays) if translate else arrays
        prefix = _shared_prefix(arrays)
        if translated is not arrays or not prefix:
            arrays = translated
            break
        arrays = {name[len(prefix) :]: array for name, array in arrays.items()}
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
        hint = "; set model.num_classes to the file's" if shapes and not missing + extra else ""
        raise WeightsError(
            f"the weights {path} do not fit {type(network).__name__}: {'; '.join(problems)}{hint}"
        )
    return arrays


def _plain(name: str) -> str:
    """PyTorch's BatchNorm statistics under Paddle's names; its batch counter has none."""
    if name.endswith("num_batches_tracked"):
        return ""
    name = re.sub(r"(^|\.)running_mean$", r"\1_mean", name)
    return re.sub(r"(^|\.)running_var$", r"\1_variance", name)


def _shared_prefix(arrays: dict) -> str:
    first = next(iter(arrays), "").partition(".")[0] + "."
    return first if all(name.startswith(first) for name in arrays) and arrays else ""


def _paddle_linears(arrays: dict, network: nn.Layer, path: Path) -> dict:
    """Turn PyTorch's [out, in] Linear weights into Paddle's [in, out].

    A square weight does not tell; the other ones of the file do, and else the kind of file.
    """
    layers = network.sublayers(include_self=True)
    weights = {id(layer.weight) for layer in layers if isinstance(layer, nn.Linear)}
    state = network.state_dict().items()
    linears = {name: tuple(value.shape) for name, value in state if id(value) in weights}
    shapes = [(arrays[name].shape, s) for name, s in linears.items() if name in arrays]
    telling = [(found, shape) for found, shape in shapes if shape[0] != shape[1]]
    if telling:
        torch = any(found == shape[::-1] for found, shape in telling)
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
