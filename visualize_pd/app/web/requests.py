"""Which requests the server answers: those of the page, and nothing else that Gradio can do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from gradio.utils import get_upload_folder
from starlette.responses import PlainTextResponse

LARGEST_FILE = 20_000_000  # bytes
LARGEST = {"upload": LARGEST_FILE + 100_000}  # bytes of a request by its place; of others a MB
PAGE = {"", "config", "theme.css", "favicon.ico", "manifest.json"}
PARTS = ("assets/", "static/")
API = {
    *("startup-events", "queue/join", "queue/data", "run/predict"),
    *("upload", "upload_progress", "cancel", "reset"),
}


def refusal(method: str, path: str, length: str | None) -> tuple[int, str] | None:
    """The status and the sentence for a request that is refused. None for one that is answered.

    `length` is the value of its header `Content-Length`.
    """
    place = path.strip("/")
    call = place.removeprefix("gradio_api/") if place.startswith("gradio_api/") else None
    if call is None:
        known = place in PAGE or place.startswith(PARTS)
    else:
        shown = call.startswith(f"file={get_upload_folder()}/")  # a picture until it is read
        known = call in API or shown or call.startswith("heartbeat/")
    if not known or method not in ("GET", "HEAD", "POST"):
        return 404, "The page has no such address."
    if method == "POST" and not (length or "").isdecimal():
        return 411, "The size of the request is missing."
    if int(length or 0) > LARGEST.get(call or "", 1_000_000):
        return 413, "The request is too large."
    return None


Handler = Callable[[MutableMapping[str, Any], Callable, Callable], Awaitable[None]]


class OnlyThePage:
    """Refuses the requests for which `refusal` has a sentence, before Gradio sees them."""

    def __init__(self, app: Handler):
        self.app = app

    async def __call__(
        self, scope: MutableMapping[str, Any], receive: Callable, send: Callable
    ) -> None:
        answer: Handler = self.app
        if scope["type"] == "http":
            length = dict(scope["headers"]).get(b"content-length", b"").decode("latin-1")
            refused = refusal(scope["method"], scope["path"], length)
            if refused is not None:
                answer = PlainTextResponse(refused[1], refused[0])
        elif scope["type"] == "websocket":
            return await send({"type": "websocket.close"})
        await answer(scope, receive, send)
