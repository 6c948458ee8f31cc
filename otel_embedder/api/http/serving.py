"""Serves the application: a thread and an event loop of its own, so that spans don't wait.

Who connects and says nothing is let go. Where too many are connected, whoever has
said nothing for longest goes first, so that slow ones can't keep others out.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from otel_embedder.errors import ListenError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

    from starlette.types import ASGIApp
    from uvicorn.protocols.http.h11_impl import RequestResponseCycle


MAX_CONNECTIONS = 256
BACKLOG = 128
HEADERS_SECONDS = 10.0
UNREAD_SECONDS = 20.0
IDLE_SECONDS = 15
MAX_HEADER_BYTES = 32 * 1024
STOP_SECONDS = 1


class BoundedProtocol(H11Protocol):
    """A connection that has to say something in time, and makes room for others."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin; the longest silent goes where there is no room."""
        super().connection_made(cast("asyncio.Transport", transport))
        self._hurry = self.loop.call_later(HEADERS_SECONDS, self._let_go_if_silent)
        self._began = self.loop.time()
        if len(self.connections) > MAX_CONNECTIONS:
            self._make_room()

    def data_received(self, data: bytes) -> None:
        """Take what comes."""
        super().data_received(data)
        if not self.is_silent:
            self._hurry.cancel()
        elif self._hurry.cancelled():  # the begin of the next question
            self._hurry = self.loop.call_later(HEADERS_SECONDS, self._let_go_if_silent)

    def pause_writing(self) -> None:
        """Wait until what was sent is read, but not for ever."""
        super().pause_writing()
        self._unread = self.loop.call_later(UNREAD_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on."""
        self._unread.cancel()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._hurry.cancel()
        super().connection_lost(exc)

    @property
    def is_silent(self) -> bool:
        """Whether it has not asked for anything that is not answered."""
        cycle = cast("RequestResponseCycle | None", self.cycle)  # the first is yet to come
        return cycle is None or cycle.response_complete

    def _let_go_if_silent(self) -> None:
        if self.is_silent:
            self.transport.abort()

    def _make_room(self) -> None:
        every = [each for each in self.connections if isinstance(each, BoundedProtocol)]
        silent = [each for each in every if each.is_silent]
        min(silent or [self], key=lambda each: each._began).transport.abort()  # noqa: SLF001 - its own kind


def listening_socket(address: str) -> socket.socket:
    """Listen on HOST:PORT.

    Raises:
        ListenError: the address can't be had.

    """
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, int(port)))
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        raise ListenError(
            f"http_listen: cannot listen on {address}: {error.strerror or error}; name another port"
        ) from error
    return listening


@contextmanager
def serving(app: ASGIApp, address: str, context: ssl.SSLContext | None = None) -> Iterator[int]:
    """Serve an application in a thread of its own; give the port.

    Args:
        app: it.
        address: HOST:PORT.
        context: shows a certificate; None is HTTP without TLS.

    Raises:
        ListenError: the address can't be had.

    """
    listening = listening_socket(address)
    server = uvicorn.Server(_config(app, context))
    thread = threading.Thread(target=_run, args=(server, listening), name="http", daemon=True)
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()
        listening.close()


def _run(server: uvicorn.Server, listening: socket.socket) -> None:
    asyncio.run(_serve(server, listening))


async def _serve(server: uvicorn.Server, listening: socket.socket) -> None:
    await server.serve(sockets=[listening])
    # Those who came at the last moment, or whose answer was given up: uvicorn leaves them open.
    for each in [*server.server_state.connections]:
        cast("BoundedProtocol", each).transport.abort()
    await asyncio.sleep(0)


def _config(app: ASGIApp, context: ssl.SSLContext | None) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=BoundedProtocol,
        ws="none",
        lifespan="on",
        access_log=False,
        # What clients do wrong they are told; what we do wrong `api.failed` tells.
        log_config=None,
        log_level="critical",
        proxy_headers=False,
        server_header=False,
        h11_max_incomplete_event_size=MAX_HEADER_BYTES,
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=STOP_SECONDS,
        ssl_context_factory=(lambda *_: context) if context else None,
    )
