"""A line between the sidecar and the next hop: cut in the middle of an answer, or slow."""

from __future__ import annotations

import math
import socket
import struct
import time
from contextlib import suppress
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType

RECEIVE_BYTES = 65_536
# What a slow line holds of what it was given: else buffers would take megabytes at once.
BUFFER_BYTES = 65_536
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: hang up without a goodbye


class Proxy:
    """Passes bytes both ways; once armed, it resets the connection within the next answer.

    To the target go no more bytes a second than it was told, over all connections.
    """

    def __init__(self, target: str, *, bytes_a_second: float = math.inf) -> None:
        host, _, port = target.rpartition(":")
        self._target = host, int(port)
        self._armed = Event()
        self._bytes_a_second = bytes_a_second
        self._free_at = 0.0
        self._turn = Lock()

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        if self._bytes_a_second < math.inf:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # Wakes the thread that accepts; closing alone would not.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def arm(self) -> None:
        """Cut the next bytes that come back in two, and the line between them."""
        self._armed.set()

    def _accept(self) -> None:
        with suppress(OSError):  # closed
            while True:
                caller, _ = self._listener.accept()
                self._join(caller)

    def _join(self, caller: socket.socket) -> None:
        try:
            target = socket.create_connection(self._target)
        except OSError:
            caller.close()
            return
        for copy, ends in ((self._ask, (caller, target)), (self._answer, (target, caller))):
            Thread(target=copy, args=ends, daemon=True).start()

    def _ask(self, caller: socket.socket, target: socket.socket) -> None:
        with suppress(OSError), target:
            while received := caller.recv(RECEIVE_BYTES):
                self._wait_for(len(received))
                target.sendall(received)

    def _wait_for(self, count: int) -> None:
        """Wait until so many bytes have had the time that they need on the line."""
        with self._turn:
            self._free_at = max(self._free_at, time.monotonic()) + count / self._bytes_a_second
            wait = self._free_at - time.monotonic()
        if wait > 0:
            time.sleep(wait)

    def _answer(self, target: socket.socket, caller: socket.socket) -> None:
        with suppress(OSError), caller:
            while received := target.recv(RECEIVE_BYTES):
                if self._armed.is_set():
                    self._armed.clear()
                    caller.sendall(received[: len(received) // 2])
                    self._reset(caller)
                    return
                caller.sendall(received)

    def _reset(self, caller: socket.socket) -> None:
        caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        # Ends the other thread's wait: a socket that is being read from does not close.
        caller.shutdown(socket.SHUT_RD)
