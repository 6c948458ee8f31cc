"""A small model hub on this machine: answers `huggingface_hub` as the real one does.

A large file lies elsewhere, and the hub redirects to it. It offers no Xet storage, so all comes by
plain HTTP.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import socket
import struct
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import TYPE_CHECKING, Literal, NamedTuple

from otel_embedder.embedder.models.weights import HUB_REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

# In the middle of the file: a byte is wrong, the hub hangs up, or a firewall cuts the line.
Fault = Literal["corrupted", "closed", "reset"]

COMMIT = hashlib.sha1(HUB_REPOSITORY.encode(), usedforsecurity=False).hexdigest()
LARGE = 10_000_000

AT_ONCE = struct.pack("ii", 1, 0)  # SO_LINGER: reset what is not sent yet


class File(NamedTuple):
    """A file of the repository.

    Attributes:
        content: its bytes.
        etag: a large file's SHA-256; another's number in git.
        is_large: whether it lies elsewhere.

    """

    content: bytes
    etag: str
    is_large: bool


class Hub(ThreadingHTTPServer):
    """A hub with one repository. The next downloads of a large file go wrong as `faults` says."""

    def __init__(self, files: Mapping[str, File]) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.address = f"http://127.0.0.1:{self.server_port}"
        self.files = files
        self.faults: list[Fault] = []
        self.downloads: list[int] = []
        self._lock = Lock()

    def next_fault(self, start: int) -> Fault | None:
        """Note a download of a large file from this byte on; tell what goes wrong with it."""
        with self._lock:
            self.downloads.append(start)
            return self.faults.pop(0) if self.faults else None


@contextmanager
def running_hub(directory: Path, names: Sequence[str]) -> Iterator[Hub]:
    """Run a hub whose repository has these files of a directory."""
    with Hub({name: _read(directory / name) for name in names}) as hub:
        thread = Thread(target=hub.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield hub
        finally:
            hub.shutdown()
            thread.join()


def _read(path: Path) -> File:
    content = path.read_bytes()
    if len(content) > LARGE:
        return File(content, hashlib.sha256(content).hexdigest(), is_large=True)
    blob = b"blob %d\0" % len(content) + content
    return File(content, hashlib.sha1(blob, usedforsecurity=False).hexdigest(), is_large=False)


class Answer(BaseHTTPRequestHandler):
    """The hub's answers on one connection."""

    protocol_version = "HTTP/1.1"
    server: Hub

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == f"/api/models/{HUB_REPOSITORY}/revision/main":
            self._send_json({"id": HUB_REPOSITORY, "sha": COMMIT, "siblings": self._siblings()})
        elif path == f"/api/models/{HUB_REPOSITORY}/tree/{COMMIT}":
            self._send_json([_entry(name, file) for name, file in self.server.files.items()])
        elif path.startswith(f"/{HUB_REPOSITORY}/resolve/{COMMIT}/"):
            self._resolve(path.rpartition("/")[2])
        elif path.startswith("/elsewhere/"):
            self._download(self.server.files[path.rpartition("/")[2]])
        else:
            self._send(HTTPStatus.NOT_FOUND, {}, b"")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
        """Keep quiet."""

    def _siblings(self) -> list[dict[str, str]]:
        return [{"rfilename": name} for name in self.server.files]

    def _resolve(self, name: str) -> None:
        file = self.server.files[name]
        headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{file.etag}"'}
        if not file.is_large:
            self._send(HTTPStatus.OK, headers, file.content)
            return
        linked = {"X-Linked-Size": f"{len(file.content)}", "X-Linked-ETag": f'"{file.etag}"'}
        # Another host, or `huggingface_hub` would follow it for more than the file.
        location = f"http://localhost:{self.server.server_port}/elsewhere/{name}"
        self._send(HTTPStatus.FOUND, {**headers, **linked, "Location": location}, b"")

    def _download(self, file: File) -> None:
        start, size = self._first_byte(), len(file.content)
        ranges = {"Content-Range": f"bytes {start}-{size - 1}/{size}"} if start else {}
        status = HTTPStatus.PARTIAL_CONTENT if start else HTTPStatus.OK
        fault = self.server.next_fault(start)
        content = _corrupted(file.content) if fault == "corrupted" else file.content
        is_cut = fault in {"closed", "reset"}
        self._send(status, ranges, content[start:], cut_at=(size - start) // 2 if is_cut else None)
        if fault == "reset":
            self._reset()

    def _first_byte(self) -> int:
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        return int(asked[1]) if asked else 0

    def _send_json(self, content: object) -> None:
        headers = {"Content-Type": "application/json"}
        self._send(HTTPStatus.OK, headers, json.dumps(content).encode())

    def _send(
        self,
        status: HTTPStatus,
        headers: Mapping[str, str],
        content: bytes,
        *,
        cut_at: int | None = None,
    ) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": f"{len(content)}"}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(memoryview(content)[:cut_at])
        self.close_connection = cut_at is not None

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
        os.close(self.connection.detach())


def _entry(name: str, file: File) -> dict[str, object]:
    entry = {"type": "file", "path": name, "oid": file.etag, "size": len(file.content)}
    lfs = {"oid": file.etag, "size": len(file.content), "pointerSize": 134}
    return {**entry, "lfs": lfs} if file.is_large else entry


def _corrupted(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
