"""HTTP/2 by hand, for what no client of gRPC's would send."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from otel_embedder.otlp.names import EXPORT_METHOD
from tests.support.fakes import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterable

# What each connection begins with (RFC 9113).
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, SETTINGS = 0, 1, 4
END_STREAM, END_HEADERS = 1, 4
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
