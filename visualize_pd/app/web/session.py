"""What the page remembers of one person, and the place where all computing is done."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar

import numpy as np
import paddle

from ...core import runtime
from ...core.stopping import check_stop, stoppable
from ...models.preprocess import View
from ...network.kept_pass import KeptPass
from .texts import ENGLISH

Result = TypeVar("Result")
MOST_KEPT = 4  # forward passes, each of them tens of MB
_END = object()


class Picture(NamedTuple):
    """The picture of one person: its file, what the network sees of it, and the predictions.

    `data` are the bytes of the file, and `digest` is theirs. `images` is `[1, C, H, W]`,
    `probabilities` is `[classes]`, and `shown` is the picture of a figure, `[H, W, 3]` uint8.
    """

    name: str
    data: bytes
    digest: str
    view: View
    images: paddle.Tensor
    probabilities: np.ndarray
    shown: np.ndarray


class Session:
    """What one person has done on the page. It lies in the memory, and ends with the page.

    `of_tab` holds what a tab wants to remember, by the name of the tab.
    """

    def __init__(self) -> None:
        self.language = ENGLISH
        self.stops: set[threading.Event] = set()
        self.forget()

    def forget(self) -> None:
        """Forget the picture and everything that was made of it."""
        self.brought: tuple[str, bytes] | None = None  # a file that waits: its name, its bytes
        self.picture: Picture | None = None
        self.of_tab: dict[str, Any] = {}

    def stop(self) -> None:
        """Stop the computation that runs for this person."""
        for asked in list(self.stops):
            asked.set()

    def __deepcopy__(self, _memo: Any) -> Session:
        """A new session. Gradio copies the first value of a state for each person."""
        return Session()


class Desk:
    """Does one computation at a time, all of them in one thread, as Paddle needs it."""

    def __init__(self) -> None:
        self.worker = ThreadPoolExecutor(1, "computing", initializer=runtime.use_threads)
        self.kept: list[KeptPass] = []

    def run(self, session: Session, compute: Callable[[], Result]) -> Result:
        """The result of a computation. Raises `StoppedError` if `session.stop` ends it."""
        asked = threading.Event()

        def work() -> Result:
            with stoppable(asked.is_set):
                check_stop()
                return compute()

        session.stops.add(asked)
        try:
            return self.worker.submit(work).result()
        finally:
            session.stops.discard(asked)

    def stream(self, session: Session, compute: Callable[[], Iterator[Result]]) -> Iterator[Result]:
        """Yield the results of a generator while it runs. Nothing waits for the reader.

        `session.stop` ends it, as does a reader that goes away.
        """
        found: queue.SimpleQueue = queue.SimpleQueue()
        asked = threading.Event()

        def work() -> None:
            with stoppable(asked.is_set):
                check_stop()
                for result in compute():
                    found.put(result)
                    check_stop()

        session.stops.add(asked)
        future = self.worker.submit(work)
        future.add_done_callback(lambda _: found.put(_END))
        try:
            while (result := found.get()) is not _END:
                yield result
            future.result()
        finally:
            asked.set()
            session.stops.discard(asked)

    def kept_pass(self, network: paddle.nn.Layer, images: paddle.Tensor) -> KeptPass:
        """The forward pass of images, made before or now. The last few of all people are kept."""
        found = next((kept for kept in self.kept if kept.given is images), None)
        kept = found or KeptPass(network, images)
        self.kept = [*(each for each in self.kept if each is not kept), kept][-MOST_KEPT:]
        return kept

    def drop(self, picture: Picture | None) -> None:
        """Forget the pass of a picture that nobody uses any more."""
        if picture is not None:
            self.kept = [kept for kept in self.kept if kept.given is not picture.images]

    def close(self) -> None:
        """End the thread."""
        self.worker.shutdown(cancel_futures=True)
