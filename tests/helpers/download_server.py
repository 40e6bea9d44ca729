"""A local HTTP server that stands in for the server of Paddle's model zoo."""

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

CONTENT = np.random.default_rng(0).bytes(300_000)
MD5 = hashlib.md5(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """It answers each request with `behaviour(handler)`, and counts the requests.

    A behaviour that waits must stop when the event `over` is set.
    """

    daemon_threads = True
    requests = 0

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.behaviour = send()
        self.over = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}/weights/AlexNet_pretrained.pdparams"

    def handle_error(self, *_):  # a client that gave up
        pass


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.requests += 1
        self.server.behaviour(self)

    def start(self, length):
        self.send_response(200)
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def log_message(self, *_):
        pass


def send(content=CONTENT, length=-1, sent=None):
    """A behaviour that sends the first `sent` bytes of a content, by default all.

    `length` is the announced Content-Length, by default the real one. None announces none.
    """

    def behaviour(handler):
        handler.start(len(content) if length == -1 else length)
        handler.wfile.write(content[:sent])

    return behaviour
