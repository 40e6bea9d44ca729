"""What every tab gets: the network, the texts, and the way to run a computation in the queue."""

from __future__ import annotations

import html
import inspect
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from weakref import WeakValueDictionary

import gradio as gr

from ...core.errors import VisualizeError
from ...core.text import printable
from ...models.classifier import Classifier
from ..config.schema import ExplainConfig
from .session import Desk, Session
from .texts import Texts, sentence_of, text

logger = logging.getLogger("visualize_pd")
QUEUE = "computing"  # the name of the queue in which people wait
FAULT = (
    "Something went wrong here; the log of the server tells more.",
    "服务器出错了，详情见服务器的日志。",
)
ERROR = ("Error", "错误")


class Shell:
    """The page that is being built. A tab adds its components and connects them with `on`."""

    def __init__(self, classifier: Classifier, config: ExplainConfig, desk: Desk):
        self.classifier, self.config, self.desk = classifier, config, desk
        self.texts = Texts()
        self.state = gr.State(Session())
        self.redrawn: list[tuple[Callable[[Session], list[Any]], Sequence[Any]]] = []
        self.people: WeakValueDictionary[str, Session] = WeakValueDictionary()

    def on(
        self,
        event: Callable,
        function: Callable,
        inputs: Sequence[Any] = (),
        outputs: Sequence[Any] = (),
        *,
        queued: bool = True,
        data: bool = False,
        **options: Any,
    ) -> Any:
        """Call `function(session, *values)` at an event such as `button.click`.

        A queued function computes: it waits in the queue and runs in the thread of the desk. It may
        be a generator, whose results are shown while it runs. `queued=False` is for what takes no
        time, such as new colours. With `data` the function gets what a `trigger` in the browser
        sent, as a dict after the session. A `VisualizeError` is shown as its sentence.
        """
        handler = self._streaming if inspect.isgeneratorfunction(function) else self._returning
        waiting: dict[str, Any] = {"concurrency_limit": 1, "concurrency_id": QUEUE}
        if not queued:
            waiting = {"queue": False, "show_progress": "hidden"}
        return event(
            handler(function, queued, data),
            [self.state, *inputs],
            list(outputs),
            **{"api_name": False, **waiting, **options},
        )

    def stop(
        self, button: gr.Button, halt: Callable[[Session], None], events: Sequence[Any]
    ) -> None:
        """`button` ends what runs for a person by `halt(session)`.

        If nothing runs, those of `events` that wait leave the queue.
        """

        def end(session: Session) -> None:
            if session.stops:
                halt(session)
                raise gr.Error(visible=False, print_exception=False)  # nothing has to be cancelled

        self.on(button.click, end, queued=False).success(None, cancels=list(events))

    def redraw(self, function: Callable[[Session], list[Any]], outputs: Sequence[Any]) -> None:
        """Call `function(session)` when the language changes. It returns a value for each one."""
        self.redrawn.append((function, outputs))

    @property
    def in_language(self) -> list[Any]:
        """All components that change with the language."""
        return self.texts.components + [each for _, outputs in self.redrawn for each in outputs]

    def updates(self, session: Session) -> list[Any]:
        """The updates of `in_language`."""
        redrawn = [value for function, _ in self.redrawn for value in function(session)]
        return self.texts.updates(session.language) + redrawn

    def _returning(self, function: Callable, queued: bool, data: bool) -> Callable:
        def handle(request: gr.Request, event: gr.EventData, session: Session, *values: Any) -> Any:
            given = self._given(request, event, session, data)
            with told(session):
                if not queued:
                    return function(session, *given, *values)
                return self.desk.run(session, lambda: function(session, *given, *values))

        return handle

    def _streaming(self, function: Callable, _queued: bool, data: bool) -> Callable:
        def handle(
            request: gr.Request, event: gr.EventData, session: Session, *values: Any
        ) -> Iterator[Any]:
            given = self._given(request, event, session, data)
            with told(session):
                yield from self.desk.stream(session, lambda: function(session, *given, *values))

        return handle

    def _given(
        self, request: gr.Request, event: gr.EventData, session: Session, data: bool
    ) -> list[dict]:
        if request is not None and request.session_hash:
            self.people[request.session_hash] = session
        sent = getattr(event, "_data", None)
        return [sent if isinstance(sent, dict) else {}] if data else []

    def leave(self, request: gr.Request) -> None:
        """A person has closed the page: stop what runs for them, and forget what they had."""
        session = self.people.pop(request.session_hash or "", None)
        if session is not None:
            session.stop()
            self.desk.drop(session.picture)
            session.forget()


def html_part(elem_id: str, script: str | None = None, **options: Any) -> gr.HTML:
    """A part of the page whose HTML is written by the app. `script` runs in the browser."""
    return gr.HTML("", js_on_load=script, elem_id=elem_id, **options)


@contextmanager
def told(session: Session) -> Iterator[None]:
    """Show an error in the block as one sentence. What no person can cause goes to the log."""
    title = text(ERROR, session.language)
    try:
        yield
    except gr.Error:
        raise
    except VisualizeError as error:
        sentence = html.escape(printable(sentence_of(error, session.language)))
        raise gr.Error(sentence, title=title, print_exception=False) from None
    except Exception:
        logger.exception("an error on the page")
        sentence = text(FAULT, session.language)
        raise gr.Error(sentence, title=title, print_exception=False) from None
