"""Download weights from Paddle's model zoo."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import queue
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import paddle

from ...core.errors import OutputError, WeightsError
from ...core.files import atomic_write, expand_home, write_text
from .finding import weights_folder

FIRST_BYTE_SECONDS = 4.0  # the longest wait for the connection and the first answer
STALL_SECONDS = 15.0  # the longest wait for each further chunk
CHUNK = 1 << 16
FORGET_SECONDS = 24 * 3600.0  # after this time a failed download is tried again


class Unreachable(WeightsError):
    """The server cannot be reached, or does not answer."""


def zoo_url(name: str) -> tuple[str, str] | None:
    """The URL and md5 of a network's weights in Paddle's model zoo. None if it has none."""
    builder = getattr(paddle.vision.models, name, None)
    module = sys.modules.get(getattr(builder, "__module__", ""), None)
    published = getattr(module, "model_urls", {})
    # In Paddle's table the names of the MobileNets contain their width.
    names = (name, f"{name}_x1.0", f"{name.replace('_v', 'v')}_1.0")
    return next((published[each] for each in names if each in published), None)


def zoo_path(name: str, url: str) -> Path:
    """The file in which the weights of a network from the model zoo are saved."""
    return weights_folder() / f"{name}-{Path(url).name}"


def download_once_a_day(url: str, md5: str, path: Path) -> Path:
    """As `download`, but if the server could not be reached, it is not tried again for a day."""
    failures = _failures()
    waited = time.time() - failures.get(url, 0)
    if 0 <= waited < FORGET_SECONDS:
        raise Unreachable(
            f"the server of {url} could not be reached {_ago(waited)}; it is tried again after a "
            "day, or at once with visualize-pd weights download"
        )
    try:
        return download(url, md5, path)
    except Unreachable:
        _keep_failures({**failures, url: time.time()})
        raise


def _ago(seconds: float) -> str:
    minutes = int(seconds // 60)
    return f"{minutes} minutes ago" if minutes < 120 else f"{minutes // 60} hours ago"


def _failures_file() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME") or expand_home("~/.cache")
    return Path(cache) / "visualize_pd" / "failed_downloads.json"


def _failures() -> dict[str, float]:
    """The last time at which each URL could not be reached, in seconds since 1970."""
    try:
        kept = json.loads(_failures_file().read_text(encoding="utf-8"))
        return {url: float(when) for url, when in kept.items()}
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return {}


def _keep_failures(failures: dict[str, float]) -> None:
    with suppress(OutputError):  # then the download is tried again in the next run
        write_text(_failures_file(), json.dumps(failures))


def download(url: str, md5: str, path: Path) -> Path:
    """Download `url` to `path`. The file is written only if it is complete and its md5 is right.

    The download stops after 4 seconds without a first byte, and after 15 seconds without another
    64 KiB. Raises `Unreachable` if the server does not answer. Raises another `WeightsError` if the
    file is cut off or damaged, or cannot be written.
    """
    from tqdm import tqdm

    digest = hashlib.md5(usedforsecurity=False)
    chunks = _fetch(url)
    total = next(chunks)
    bar = tqdm(total=total, unit="B", unit_scale=True, unit_divisor=1024, desc=path.name)
    received = 0
    try:
        with bar, atomic_write(path) as file:
            for chunk in chunks:
                file.write(chunk)
                digest.update(chunk)
                received += len(chunk)
                bar.update(len(chunk))
            if total is not None and received != total:
                raise WeightsError(f"{url} was cut off at {received} of {total} bytes")
            if digest.hexdigest() != md5:
                raise WeightsError(f"the file from {url} is damaged (wrong md5) and was not kept")
    except OutputError as error:
        raise WeightsError(f"cannot save the downloaded file: {error}") from error
    failures = _failures()
    if failures.pop(url, None) is not None:
        _keep_failures(failures)
    return path


def _fetch(url: str) -> Iterator[Any]:
    """Yield the length that the server announces (or None), and then the chunks.

    There is a time limit for each of them. The download runs in a thread, because the look-up of a
    host name has no time limit of its own.
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
                raise Unreachable(f"no answer from {url} for {patience:.0f} seconds") from None
            if isinstance(item, Exception):
                reason = getattr(item, "reason", None) or item
                raise Unreachable(f"cannot download {url}: {reason}") from item
            if item == b"":
                return
            yield item
            patience = STALL_SECONDS
    finally:
        abandoned.set()
