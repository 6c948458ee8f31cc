"""A caller's own headers, such as a tenant's name, as far as they can go on to the next hop.

gRPC takes in more than it sends: a header with another byte would fail every
call that brings it along, again and again.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from otel_embedder.telemetry.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Collection

    from otel_embedder.otlp.call import Metadata

log = get_logger()

HEADER_LEFT_OUT = "header.left_out"

# What belongs to one connection or one call, not to the request.
HOP_BY_HOP = {"user-agent", "content-type", "content-length", "te", "host"}
HOP_BY_HOP_PREFIXES = ("grpc-", ":")
# HTTP/2 has none of these (RFC 9113, 8.2.2); the next hop may hang up on whoever sends one.
NOT_HTTP_2 = {"connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"}
# What gRPC sends: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md, Custom-Metadata.
TEXT = re.compile(r"[\x20-\x7e]*")
BINARY_SUFFIX = "-bin"

# Names are the callers' choice: a line for each, up to so many.
MAX_TOLD = 100
MAX_TOLD_CHARACTERS = 100


class Headers:
    """Leaves out what can't go on, and tells so once for each name."""

    def __init__(self, *, withheld: Collection[str] = ()) -> None:
        """Prepare.

        Args:
            withheld: those that are meant for this sidecar alone.

        """
        self._kept_here = HOP_BY_HOP.union(withheld)
        self._told: set[str] = set()

    def passed_on(self, metadata: Metadata) -> Metadata:
        """Give those that go on."""
        return tuple(header for header in metadata if self._goes_on(*header))

    def _goes_on(self, name: str, value: str | bytes) -> bool:
        if name in self._kept_here or name.startswith(HOP_BY_HOP_PREFIXES):
            return False
        if name not in NOT_HTTP_2 and can_be_sent(name, value):
            return True
        self._tell(name[:MAX_TOLD_CHARACTERS])
        return False

    def _tell(self, name: str) -> None:
        if name not in self._told and len(self._told) < MAX_TOLD:
            self._told.add(name)
            log.warning(HEADER_LEFT_OUT, header=name, reason="gRPC can't send it on")


def can_be_sent(name: str, value: str | bytes) -> bool:
    """Tell whether gRPC sends a header as it is. Odd names it has refused already."""
    if name.endswith(BINARY_SUFFIX):
        return isinstance(value, bytes)
    return isinstance(value, str) and TEXT.fullmatch(value) is not None
