"""Fingerprints: short texts that show whether the inputs of a run are the same as before.

A fingerprint has parts, such as `{"image": "5f3a…", "weights": "09bc…", "version": "0.1.0"}`. They
are compared one by one, so that a message can name what changed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, BinaryIO

import numpy as np

Fingerprint = dict[str, str]

LENGTH = 6  # bytes of a digest
FOLD = 1021  # a prime number, so that no layer of a network has rows of this length


def digest(*parts: bytes | str) -> str:
    """A short digest of some texts or bytes, in order."""
    state = hashlib.blake2b(digest_size=LENGTH)
    for part in parts:
        data = part.encode(errors="surrogatepass") if isinstance(part, str) else part
        state.update(len(data).to_bytes(8, "little") + data)
    return state.hexdigest()


def value_digest(value: Any) -> str:
    """A digest of plain values: numbers, texts, lists and mappings."""
    return digest(json.dumps(value, sort_keys=True, default=str))


def file_digest(file: BinaryIO) -> str:
    """A digest of the bytes of an open file. Afterwards the file is at its beginning again."""
    state = hashlib.blake2b(digest_size=LENGTH)
    for block in iter(lambda: file.read(1 << 20), b""):
        state.update(block)
    file.seek(0)
    return state.hexdigest()


def array_digest(array: np.ndarray) -> str:
    """A digest of an array: its type, its shape, and the sums of its columns as whole numbers.

    The bytes are laid out in rows of 1021 words. To add them up is many times as fast as to hash
    them, and other weights have other sums.
    """
    data = np.ascontiguousarray(array).reshape(-1).view("uint8")
    whole = data.size // (8 * FOLD) * (8 * FOLD)
    words = data[:whole].view("uint64").reshape(-1, FOLD)
    sums = words.sum(axis=0, dtype="uint64").tobytes()  # they may overflow, always in the same way
    return digest(f"{array.dtype} {array.shape}", sums, data[whole:].tobytes())


def as_text(fingerprint: Mapping[str, str]) -> str:
    """A fingerprint on one line: `image=5f3a… weights=09bc…`. The parts contain no spaces."""
    return " ".join(f"{name}={value}" for name, value in fingerprint.items())


def from_text(text: str) -> Fingerprint:
    """The inverse of `as_text`. Words of another form are left out."""
    pairs = (word.partition("=") for word in text.split())
    return {name: value for name, equals, value in pairs if equals}


def changed(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """The names of the parts that differ between two fingerprints."""
    return sorted(name for name in {*before, *now} if before.get(name) != now.get(name))
