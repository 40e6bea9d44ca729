"""Find classes by their names."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

from ..core.errors import TargetError

MOST_LETTERS = 120


def parse_target(target: str | int, labels: Sequence[str] | None) -> int | None:
    """The class index that a config asks for, by an index or a name. None for `predicted`."""
    if target == "predicted":
        return None
    if isinstance(target, str) and not re.fullmatch(r"\s*[-+]?[0-9]{1,18}\s*", target):
        return find_class(target, labels)
    return int(target)


def find_class(name: str, labels: Sequence[str] | None) -> int:
    """The index of the class with this name. Case, underscores and hyphens do not matter.

    Each label holds one name or several, separated by commas. Raises `TargetError` for an unknown
    name, and for a name that several classes share. The message gives the closest names.
    """
    if not labels:
        raise TargetError(f"no class names are known for this network; give an index, not '{name}'")
    names = [[_plain(synonym) for synonym in label.split(",")] for label in labels]
    wanted, name = _plain(name), name[:MOST_LETTERS]
    hits = [index for index, synonyms in enumerate(names) if wanted and wanted in synonyms]
    if len(hits) == 1:
        return hits[0]
    if hits:
        raise TargetError(f"'{name}' may be {_listed(hits, labels)}; give the index")
    padded = [f" {' , '.join(synonyms)} " for synonyms in names]
    near = [index for index, text in enumerate(padded) if f" {wanted} " in text]  # whole words
    near += [index for index, text in enumerate(padded) if wanted in text]
    for close in difflib.get_close_matches(
        wanted, [s for group in names for s in group], n=5, cutoff=0.75
    ):
        near += [index for index, synonyms in enumerate(names) if close in synonyms]
    near = list(dict.fromkeys(near))[:5]
    hint = f"did you mean {_listed(near, labels)}?" if near and wanted else "give an index"
    raise TargetError(f"unknown class '{name}'; {hint}")


def short_name(label: str) -> str:
    """The first name in a label, at most 120 letters."""
    name = label[: 2 * MOST_LETTERS].split(",")[0].strip()
    return name if len(name) <= MOST_LETTERS else name[: MOST_LETTERS - 1] + "…"


def _plain(text: str) -> str:
    return " ".join(re.sub(r"[\W_]+", " ", text.lower()).split())


def _listed(indices: Sequence[int], labels: Sequence[str]) -> str:
    return " or ".join(f"{short_name(labels[index])} ({index})" for index in indices)
