"""A line between the sidecar and the next hop that can be cut in the middle of an answer."""

from __future__ import annotations

import socket
import struct
from contextlib import suppress
from threading import Event, Thread
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType

RECEIVE_BYTES = 65_536
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: hang up without a goodbye


class Proxy:
    """Passes bytes both ways; once armed, it resets the connection within the next answer."""

    def __init__(self, target: str) -> None:
        host, _, port = target.rpartition(":")
        self._target = host, int(port)
        self._armed = Event()

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
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
                target.sendall(received)

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
