"""Check that the numbers of a pass are finite. In a loop of many passes this is read once.

On a GPU, Python runs ahead of the device. It has to wait each time that it reads a number. Other
things that are needed once in a loop are here too.
"""

from __future__ import annotations

import time
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import paddle

from ..core.errors import VisualizeError

SECONDS = 10.0  # a long loop is checked as often as this, so that it does not go on for nothing


class _Checks:
    """The checks of a loop that have not been read yet."""

    def __init__(self) -> None:
        self.waiting: dict[str, tuple[VisualizeError, paddle.Tensor]] = {}
        self.last = time.monotonic()
        self.done: set[Hashable] = set()

    def add(self, finite: paddle.Tensor, error: VisualizeError) -> None:
        kind = str(error)
        if kind in self.waiting:
            finite = paddle.logical_and(self.waiting[kind][1], finite)
        self.waiting[kind] = error, finite
        if time.monotonic() - self.last > SECONDS:
            self.read()

    def read(self) -> None:
        self.last = time.monotonic()
        waiting, self.waiting = self.waiting, {}
        for error, finite in waiting.values():
            if not bool(finite):
                raise error


_checks: ContextVar[_Checks | None] = ContextVar("checks of a loop", default=None)


@contextmanager
def passes_of_a_loop() -> Iterator[None]:
    """Inside the block, nothing is read from the device for each pass of a network.

    Numbers that are not finite raise their error at the end of the block, or after ten seconds. If
    the classes are a tensor, they must be those that an earlier pass has chosen. They are not
    checked again. The networks must not change.
    """
    if in_a_loop():
        yield
        return
    checks = _Checks()
    token = _checks.set(checks)
    try:
        yield
    finally:
        _checks.reset(token)
    checks.read()


def in_a_loop() -> bool:
    """Whether a block of `passes_of_a_loop` is open."""
    return _checks.get() is not None


def once_in_a_loop(what: Hashable) -> bool:
    """Whether this is the first call for `what` in a loop. Outside a loop, every call is."""
    checks = _checks.get()
    if checks is None:
        return True
    first = what not in checks.done
    checks.done.add(what)
    return first


def check_all_finite(tensors: list[paddle.Tensor], error: VisualizeError) -> None:
    """Raise `error` if a number is NaN or infinite, at once or at the end of a loop."""
    finite = paddle.stack([paddle.isfinite(tensor.detach()).all() for tensor in tensors]).all()
    checks = _checks.get()
    if checks is not None:
        checks.add(finite, error)
    elif not bool(finite):
        raise error
