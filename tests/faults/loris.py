"""Clients that never come to the point: a byte a second, on connections that they keep open.

Half of them are slow at saying that they speak HTTP/2, the other half in the middle of a request.
Others open calls by the hundred and say nothing more.
"""

from __future__ import annotations

import socket
from contextlib import ExitStack, contextmanager, suppress
from itertools import repeat
from threading import Event, Thread
from typing import TYPE_CHECKING

from tests.support.processes import EXPORT_METHOD

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SECOND = 1.0

# What each HTTP/2 connection begins with (RFC 9113), and a request of gRPC.
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, SETTINGS = 0, 1, 4
END_STREAM, END_HEADERS = 1, 4
MAX_FRAME_BYTES = 16_384
STREAM = 1
REQUEST_HEADERS = {
    ":method": "POST",
    ":scheme": "http",
    ":path": EXPORT_METHOD,
    ":authority": "localhost",
    "content-type": "application/grpc",
    "te": "trailers",
}
PROMISED_BYTES = 4 * 1024 * 1024


class Loris:
    """A connection, and what goes over it a bit at a time."""

    def __init__(self, connection: socket.socket, bits: Iterator[bytes]) -> None:
        self._connection = connection
        self._bits = bits

    def drip(self) -> None:
        with suppress(OSError):  # hung up on, as it deserves
            self._connection.sendall(next(self._bits, b""))


def slow_at_the_preface() -> Iterator[bytes]:
    return (bytes([byte]) for byte in PREFACE)


def slow_in_a_request() -> Iterator[bytes]:
    """Open a call and promise a message; then give it byte by byte."""
    yield opened_call({}) + _frame(DATA, b"\0" + PROMISED_BYTES.to_bytes(4))
    yield from repeat(_frame(DATA, b"\n"))


def opened_call(more: Mapping[str, str]) -> bytes:
    """Open a connection and a call on it, with more headers than a call needs."""
    return PREFACE + _frame(SETTINGS, b"", stream=0) + _headers(more)


def message(encoded: bytes) -> bytes:
    """Give all that a call says: one message."""
    framed = b"\0" + len(encoded).to_bytes(4) + encoded
    assert len(framed) <= MAX_FRAME_BYTES
    return _frame(DATA, framed, END_STREAM)


def _headers(more: Mapping[str, str], *, stream: int = STREAM) -> bytes:
    all_ = {**REQUEST_HEADERS, **more}
    encoded = b"".join(_literal(name, value) for name, value in all_.items())
    return _frame(HEADERS, encoded, END_HEADERS, stream=stream)


def _literal(name: str, value: str) -> bytes:
    """Encode a header with no compression (RFC 7541, 6.2.2); each part has under 127 bytes."""
    parts = [name.encode("latin-1"), value.encode("latin-1")]
    return b"\0" + b"".join(bytes([len(part)]) + part for part in parts)


def _frame(kind: int, payload: bytes, flags: int = 0, *, stream: int = STREAM) -> bytes:
    return len(payload).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + payload


@contextmanager
def lorises(address: str, count: int) -> Iterator[None]:
    """Hold so many of them to an address."""
    host, _, port = address.rpartition(":")
    kinds = (slow_at_the_preface, slow_in_a_request)
    stop = Event()
    with ExitStack() as connections:
        all_ = []
        for number in range(count):
            connection = socket.create_connection((host, int(port)))
            bits = kinds[number % len(kinds)]()
            all_.append(Loris(connections.enter_context(connection), bits))
        thread = Thread(target=_drip, args=(all_, stop))
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()


@contextmanager
def silent_calls(address: str, *, connections: int, calls: int) -> Iterator[None]:
    """Hold so many calls on each of some connections, of which not one says anything."""
    host, _, port = address.rpartition(":")
    opened = PREFACE + _frame(SETTINGS, b"", stream=0)
    # A client's streams have odd numbers.
    opened += b"".join(_headers({}, stream=1 + 2 * number) for number in range(calls))
    with ExitStack() as held:
        for _ in range(connections):
            connection = held.enter_context(socket.create_connection((host, int(port))))
            connection.sendall(opened)
        yield


def _drip(all_: list[Loris], stop: Event) -> None:
    while not stop.wait(SECOND):
        for loris in all_:
            loris.drip()
