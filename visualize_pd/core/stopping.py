"""Stop a long computation from another thread, at a place where nothing is half done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from .errors import StoppedError

_asked: ContextVar[Callable[[], bool] | None] = ContextVar("asked to stop", default=None)


@contextmanager
def stoppable(asked: Callable[[], bool]) -> Iterator[None]:
    """Inside the block, `check_stop` raises an error as soon as `asked` returns true."""
    token = _asked.set(asked)
    try:
        yield
    finally:
        _asked.reset(token)


def check_stop() -> None:
    """Raise `StoppedError` if somebody has asked to stop. Loops over passes call this."""
    asked = _asked.get()
    if asked is not None and asked():
        raise StoppedError("the computation was stopped; start it again if you need its result")
