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
from gradio.server_messages import ProcessCompletedMessage

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


class Shell:
    """The page that is being built. A tab adds its components and connects them with `on`."""

    def __init__(self, page: gr.Blocks, classifier: Classifier, config: ExplainConfig, desk: Desk):
        self.page, self.classifier, self.config, self.desk = page, classifier, config, desk
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

    def stop(self, button: gr.Button, halt: Callable[[Session], None]) -> None:
        """`button` ends what runs for a person by `halt(session)`, and what waits in the queue."""

        async def end(request: gr.Request, session: Session) -> None:
            self._leave_the_queue(request.session_hash)
            if session.stops:
                halt(session)

        quiet: dict[str, Any] = {"api_name": False, "queue": False, "show_progress": "hidden"}
        button.click(end, [self.state], **quiet)

    def _leave_the_queue(self, person: str | None) -> None:
        """Answer the waiting requests of a person with no change. Gradio has no function for it."""
        gradio_queue = self.page._queue
        waiting = gradio_queue.event_queue_per_concurrency_id[QUEUE].queue
        for event in [each for each in waiting if each.session_hash == person]:
            waiting.remove(event)
            gradio_queue.event_ids_to_events.pop(event._id, None)
            unchanged = {"data": [gr.skip() for _ in event.fn.outputs]}
            message = ProcessCompletedMessage(output=unchanged, success=True)
            gradio_queue.send_message(event, message)
        gradio_queue.broadcast_estimations(QUEUE)

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
    try:
        yield
    except gr.Error:
        raise
    except VisualizeError as error:
        sentence = html.escape(printable(sentence_of(error, session.language)))
        raise gr.Error(sentence, print_exception=False) from None
    except Exception:
        logger.exception("an error on the page")
        sentence = text(FAULT, session.language)
        raise gr.Error(sentence, print_exception=False) from None
