"""A person on the page, without a browser: the requests that a browser would send."""

import contextlib
import io
import json
import urllib.request
import uuid

import numpy as np
from PIL import Image


def opened(config):
    """Open the page of a config; return the page and its address."""
    from visualize_pd.app.web.launch import launch, make_app

    page = make_app(config)
    return page, launch(page, "127.0.0.1")


def component(page, elem_id):
    """The component of a page with this id."""
    return next(b for b in page.blocks.values() if getattr(b, "elem_id", None) == elem_id)


class Visitor:
    """One session. `do` sends an event and waits for what comes back."""

    def __init__(self, page, address, language="en"):
        self.page, self.address = page, address.rstrip("/") + "/gradio_api"
        self.name = uuid.uuid4().hex
        self.values = {}  # of components, by their ids
        self.do(None, "load", headers={"Accept-Language": language})

    def function(self, elem_id, event):
        """The function that is called at an event of a component, or when the page is loaded."""
        block = None if elem_id is None else component(self.page, elem_id)._id
        found = [
            (len(function.outputs), number, function)
            for number, function in self.page.fns.items()
            for target, name in function.targets
            if name == event and (elem_id is None or target == block)
        ]
        _, number, function = max(found, key=lambda each: each[0])
        return number, function

    def do(self, elem_id, event, data=None, wait=True, headers=(), **values):
        """Send an event with its data, and values of components by their ids.

        Returns the outputs, or without `wait` the name of the event. Raises `RuntimeError` with the
        sentence that the page shows.
        """
        number, function = self.function(elem_id, event)
        self.values.update(values)
        return self.send(number, self.inputs_of(function), data, wait, headers)

    def inputs_of(self, function):
        """The values that a browser would send."""
        return [
            None
            if each.get_block_name() == "state"
            else self.values.get(each.elem_id, getattr(each, "value", None))
            for each in function.inputs
        ]

    def send(self, number, inputs, data=None, wait=True, headers=()):
        """As `do`, for a function of the page by its number, with all of its inputs."""
        body = {
            **{"data": inputs, "fn_index": number, "session_hash": self.name},
            **{"event_data": data, "trigger_id": None},
        }
        kind = {"Content-Type": "application/json", **dict(headers)}
        joined = json.loads(self._post("/queue/join", json.dumps(body).encode(), kind))
        return self.result(joined["event_id"]) if wait else joined["event_id"]

    def result(self, event):
        """Wait for the end of an event."""
        stream = f"{self.address}/queue/data?session_hash={self.name}"
        with urllib.request.urlopen(stream, timeout=60) as lines:
            for line in lines:
                message = json.loads(line[6:]) if line.startswith(b"data: ") else {}
                if message.get("event_id") != event:
                    continue
                if message["msg"] == "process_completed":
                    output = message["output"]
                    if not message["success"]:
                        raise RuntimeError(str(output.get("error")))
                    return output["data"]
        raise RuntimeError("the stream has ended")

    def upload(self, name, data):
        """Send a file; return what the page then holds of it."""
        edge = uuid.uuid4().hex
        head = (
            f'--{edge}\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'
        )
        body = head.encode() + data + f"\r\n--{edge}--\r\n".encode()
        kind = {"Content-Type": f"multipart/form-data; boundary={edge}"}
        (path,) = json.loads(self._post("/upload", body, kind))
        return {"path": path, "orig_name": name, "meta": {"_type": "gradio.FileData"}}

    def bring(self, name, data, **values):
        """Bring a picture to the page, which first takes the file, and then opens it."""
        self.do("upload", "input", upload=self.upload(name, data), **values)
        return self.then("upload", "input")

    def then(self, elem_id, event):
        """Send the event that follows another one."""
        before, _ = self.function(elem_id, event)
        number = next(n for n, f in self.page.fns.items() if f.trigger_after == before)
        return self.send(number, self.inputs_of(self.page.fns[number]))

    @contextlib.contextmanager
    def present(self):
        """The page is open in the block. At its end the person closes it."""
        beats = urllib.request.urlopen(f"{self.address}/heartbeat/{self.name}", timeout=60)
        beats.readline()
        try:
            yield
        finally:
            beats.close()

    def _post(self, path, body, headers):
        request = urllib.request.Request(self.address + path, body, headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.read()


def png(seed=0, size=(40, 48)):
    """A file of noise."""
    pixels = np.random.default_rng(seed).integers(0, 255, (*size, 3), dtype="uint8")
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "PNG")
    return data.getvalue()
