"""HTTP/2 by hand, for what no client of gRPC's would send, and no server of gRPC's would answer."""

from __future__ import annotations

import asyncio
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Thread
from typing import TYPE_CHECKING, Self

from otel_embedder.otlp.names import EXPORT_METHOD
from tests.support.fakes import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

# What each connection begins with (RFC 9113).
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, SETTINGS, PING = 0, 1, 4, 6
END_STREAM, END_HEADERS, ACK = 1, 4, 1
FRAME_HEADER_BYTES = 9
STREAM = 1
REQUEST_HEADERS = (
    (b":method", b"POST"),
    (b":scheme", b"http"),
    (b":path", EXPORT_METHOD.encode()),
    (b":authority", b"localhost"),
    (b"content-type", b"application/grpc"),
    (b"te", b"trailers"),
)


async def call(port: int, message: bytes, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Export a message, with more headers; give the bytes of the answer up to its status."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    encoded = b"".join(_literal(*header) for header in (*REQUEST_HEADERS, *headers))
    framed = b"\0" + len(message).to_bytes(4) + message
    writer.write(PREFACE + _frame(SETTINGS, b"", stream=0) + _frame(HEADERS, encoded, END_HEADERS))
    writer.write(_frame(DATA, framed, END_STREAM))
    answer = await asyncio.wait_for(reader.readuntil(b"grpc-status"), PATIENCE)
    answer += await reader.read(100)
    writer.close()
    return answer


def _literal(name: bytes, value: bytes) -> bytes:
    """Encode a header with no compression (RFC 7541, 6.2.2); each part has under 127 bytes."""
    return b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value


def _frame(kind: int, payload: bytes, flags: int = 0, *, stream: int = STREAM) -> bytes:
    return len(payload).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + payload


class PlainHttp2:
    """A web server that speaks HTTP/2 without TLS, but no gRPC: each request has one answer."""

    def __init__(self, status: int) -> None:
        """Prepare to listen.

        Args:
            status: HTTP's, of each answer; its page is HTML.

        """

        class Handler(StreamRequestHandler):
            def handle(self) -> None:
                self.rfile.read(len(PREFACE))
                self.wfile.write(_frame(SETTINGS, b"", stream=0))
                while header := self.rfile.read(FRAME_HEADER_BYTES):
                    payload = self.rfile.read(int.from_bytes(header[:3]))
                    self.wfile.write(_answer(header, payload, status))

        self._server = ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.address = f"127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread = Thread(target=self._server.serve_forever)
        self._thread.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _answer(header: bytes, payload: bytes, status: int) -> bytes:
    """Give the frames that answer a frame: its acknowledgement, or a page when a request begins."""
    kind, flags, stream = header[3], header[4], int.from_bytes(header[5:])
    if kind in {SETTINGS, PING} and not flags & ACK:
        return _frame(kind, payload if kind == PING else b"", ACK, stream=0)
    if kind != HEADERS:
        return b""
    headers = _literal(b":status", str(status).encode()) + _literal(b"content-type", b"text/html")
    page = b"<html><h1>Not what you want</h1></html>"
    return _frame(HEADERS, headers, END_HEADERS, stream=stream) + _frame(
        DATA, page, END_STREAM, stream=stream
    )
