"""Which of two ways a kind of layer takes on this processor: measured once in a process.

The usual way of each kind is the faster one on an Intel Xeon. Other processors may differ.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

ROUNDS = 5
CLEARLY = 1.5  # how much faster another way than the usual one must be, in each round
Way = Callable[[], object]

clock = time.perf_counter
_CHOSEN: dict[str, bool] = {}  # for each kind, whether the fast way is taken


def is_faster(kind: str, usual: bool, ways: Callable[[], tuple[Way, Way]]) -> bool:
    """Whether a kind of layer takes the fast way, and not Paddle's own.

    `ways` makes an example of both ways, first the fast one. The first call for a kind measures
    them. The `usual` way is left only if the other one is clearly faster in every round, so that
    all processes on one machine choose alike. The first round without that ends the measurement.
    """
    if kind not in _CHOSEN:
        fast, own = ways()
        usually, otherwise = (fast, own) if usual else (own, fast)
        for way in (usually, otherwise):
            way()  # the first run is slower
        beaten = all(CLEARLY * _seconds(otherwise) < _seconds(usually) for _ in range(ROUNDS))
        _CHOSEN[kind] = usual != beaten
    return _CHOSEN[kind]


def _seconds(way: Way) -> float:
    start = clock()
    way()
    return clock() - start


def ways_chosen() -> dict[str, bool]:
    """For each kind of layer that was measured or set, whether it takes the fast way."""
    return dict(_CHOSEN)


def choose_ways(chosen: Mapping[str, bool]) -> None:
    """Take the ways that `ways_chosen` has returned. Other kinds are still measured."""
    _CHOSEN.update(chosen)
