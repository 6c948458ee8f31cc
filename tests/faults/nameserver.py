"""A nameserver, and the sidecar as it is where that one is the system's.

`python -m tests.faults.nameserver HOST:PORT serve ...` asks it for names instead of those in
/etc/resolv.conf, which a test may not change.
"""

from __future__ import annotations

import socket
import struct
import sys
from socketserver import BaseRequestHandler, ThreadingUDPServer
from threading import Thread
from typing import TYPE_CHECKING, Self

import grpc
import grpc.aio

from otel_embedder.__main__ import leave
from otel_embedder.cli import run

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

# Source: RFC 1035, 4.1.
HEADER = struct.Struct(">6H")
IS_ANSWER, NO_SUCH_NAME = 0x8180, 3
NAME_OF_THE_QUESTION, ADDRESS, INTERNET, SECONDS = 0xC00C, 1, 1, 0
RECORD = struct.Struct(">HHHIH4s")


class Nameserver:
    """Says of any name what its IPv4 address is at the moment.

    Attributes:
        address: of all names; none has one, if it is empty.
        asked: how many questions there were.

    """

    def __init__(self, address: str = "") -> None:
        self.address = address
        self.asked = 0
        nameserver = self

        class Handler(BaseRequestHandler):
            def handle(self) -> None:
                query, answering = self.request
                answering.sendto(nameserver.answer(query), self.client_address)

        self._server = ThreadingUDPServer(("127.0.0.1", 0), Handler)
        self.listens = f"127.0.0.1:{self._server.server_address[1]}"

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

    def answer(self, query: bytes) -> bytes:
        """Give the answer to a query."""
        self.asked += 1
        end = query.index(b"\0", HEADER.size) + 5  # behind the name stand its type and class
        question = query[HEADER.size : end]
        wants_ipv4 = question.endswith(struct.pack(">HH", ADDRESS, INTERNET))
        records = b""
        if self.address and wants_ipv4:
            address = socket.inet_aton(self.address)
            records = RECORD.pack(
                *(NAME_OF_THE_QUESTION, ADDRESS, INTERNET, SECONDS, len(address), address)
            )
        says = IS_ANSWER if self.address else IS_ANSWER | NO_SUCH_NAME
        identity = int.from_bytes(query[:2])
        return HEADER.pack(identity, says, 1, int(bool(records)), 0, 0) + question + records


def main(nameserver: str, *arguments: str) -> int:
    usual = grpc.aio.insecure_channel

    def with_nameserver(
        target: str, options: Sequence[tuple[str, int | str]], compression: grpc.Compression
    ) -> grpc.aio.Channel:
        return usual(f"dns://{nameserver}/{target}", options, compression)

    # gRPC has no other place where to say whom to ask.
    vars(grpc.aio)["insecure_channel"] = with_nameserver
    return run(arguments)


if __name__ == "__main__":
    leave(main(*sys.argv[1:]))
