"""A server that takes what is posted to it."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from otel_embedder.sidecar.webhook import SIGNATURE
from tests.support.fakes import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator


class Hook(ThreadingHTTPServer):
    """Keeps what is posted to it; answers as it is told, and waits if it is to hang."""

    daemon_threads = True

    def __init__(self, *answers: int) -> None:
        self.answers = [*answers]
        self.posts: list[tuple[bytes, str | None]] = []
        self.came = threading.Semaphore(0)
        self.may_answer = threading.Event()
        self.may_answer.set()
        super().__init__(("127.0.0.1", 0), HookHandler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook"

    def wait(self, posts: int = 1) -> None:
        for _ in range(posts):
            assert self.came.acquire(timeout=PATIENCE)


class HookHandler(BaseHTTPRequestHandler):
    """Takes one post."""

    server: Hook

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.posts.append((body, self.headers[SIGNATURE]))
        self.server.came.release()
        self.server.may_answer.wait(PATIENCE)
        self.send_response(self.server.answers.pop(0) if self.server.answers else 200)
        self.send_header("Location", "/elsewhere")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def hook(*answers: int) -> Iterator[Hook]:
    with Hook(*answers) as server:
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        serving.start()
        try:
            yield server
        finally:
            server.may_answer.set()
            server.shutdown()
            serving.join()
