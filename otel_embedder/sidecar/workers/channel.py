"""What a supervisor and a worker tell one another, by a pair of sockets.

First the worker gets its settings, then lines: orders of one word. It answers with reports, each a
line of JSON. The end of either is told by the kernel, however it came.
"""

from __future__ import annotations

import json
import os
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Final, NamedTuple, cast

if TYPE_CHECKING:
    import socket

    from otel_embedder.settings import Settings

# Orders: finish what is in flight, and end; all workers take spans, or not all of them.
STOP: Final = b"stop\n"
COMPLETE: Final = b"complete\n"
SHORT: Final = b"short\n"

# Of a worker's metrics as text; they have some 20 KB.
MAX_REPORT_BYTES = 16 * 1024 * 1024


class Share(NamedTuple):
    """What a worker is to do.

    Attributes:
        number: which one it is, from 0.
        settings: its own, of what all have together.

    """

    number: int
    settings: Settings


def send_share(channel: socket.socket, share: Share) -> None:
    """Send a share, which is far less than fits into the kernel's buffer."""
    with Connection(os.dup(channel.fileno())) as connection:
        connection.send(share)


def receive_share(channel: socket.socket) -> Share:
    """Wait for a share.

    Raises:
        EOFError: the supervisor is gone.

    """
    with Connection(os.dup(channel.fileno())) as connection:
        return cast("Share", connection.recv())


def report(**facts: object) -> bytes:
    """Give a report: that it is `listening`, its `metrics`, or what was `refused`, and of what.

    With its metrics it tells whether it takes spans.
    """
    return json.dumps(facts).encode() + b"\n"
