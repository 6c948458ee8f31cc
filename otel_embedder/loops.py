"""Spans that come back: what a wrong address makes of a pipeline.

A next hop that is this very sidecar is found in the settings. A way through
other sidecars is found by a header that each adds its own id to. A Collector
passes no headers on, so of a way through one only the spans themselves tell:
they come back with the vector that they were sent on with.

This process makes no spans of its own, so it can't embed its own telemetry.
"""

from __future__ import annotations

import secrets
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from cachetools import LRUCache

from otel_embedder.addresses import addresses, socket_path
from otel_embedder.annotate import Standing
from otel_embedder.errors import LoopError, SettingsError
from otel_embedder.logs import get_logger
from otel_embedder.proto import otlp_wire_pb2 as pb

if TYPE_CHECKING:
    from otel_embedder.annotate import Annotator
    from otel_embedder.status import Metadata

LOOP_DETECTED = "loop.detected"
LOOP_SUSPECTED = "loop.suspected"

HOPS_KEY = "x-otel-embedder-hops"
ID_BYTES = 8

REMEDY = "let next_hop lead to a pipeline that does not export to this sidecar, or to a backend"

# Requests whose first span is remembered: some seconds of them, in a megabyte.
MAX_REMEMBERED = 4_096

LOCALHOST = {"127.0.0.1", "::1"}

log = get_logger()


def check_next_hop(listen: str, next_hop: str) -> None:
    """Make sure that the next hop is not where this sidecar listens itself.

    Raises:
        SettingsError: it is.

    """
    for address in addresses(listen):
        if _is_same(address, next_hop):
            problem = (
                f"next_hop: {next_hop} is where this sidecar itself listens ({address}), so spans "
                f"would go round for ever; {REMEDY}. Where OTEL_EXPORTER_OTLP_ENDPOINT tells a "
                "whole pod to send here, OTEL_EMBEDDER_NEXT_HOP goes before it"
            )
            raise SettingsError([problem])


def _is_same(listen: str, next_hop: str) -> bool:
    if socket_path(listen) is not None:
        return False
    own, other = urlsplit(f"//{listen}"), urlsplit(next_hop)
    if not own.hostname or not other.hostname:
        return False
    if own.port != other.port:
        return False
    reached = _addresses(other.hostname)
    return bool(_addresses(own.hostname) & reached) or (
        _is_any(own.hostname) and any(map(_is_loopback, reached))
    )


def _addresses(host: str) -> set[str]:
    """Give the addresses that a host stands for, as far as that needs no network."""
    # To connect to "any address" is to connect to this host.
    return set(LOCALHOST) if host == "localhost" or _is_any(host) else {host}


def _is_any(host: str) -> bool:
    return _is_address(host) and ip_address(host).is_unspecified


def _is_loopback(host: str) -> bool:
    return _is_address(host) and ip_address(host).is_loopback


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


class Hops:
    """Adds this sidecar to the list of those that a request has passed."""

    def __init__(self) -> None:
        self._own = secrets.token_hex(ID_BYTES)
        self._is_logged = False

    def with_own(self, metadata: Metadata) -> Metadata:
        """Give the metadata to send on.

        Raises:
            LoopError: the request has been here before. Whoever has it keeps it.

        """
        hops = [hop for key, value in metadata if key == HOPS_KEY for hop in _ids(value)]
        if self._own in hops:
            self._log(len(hops))
            raise LoopError(f"the spans have come back to where they were; {REMEDY}")
        others = (pair for pair in metadata if pair[0] != HOPS_KEY)
        return (*others, (HOPS_KEY, ",".join([*hops, self._own])))

    def _log(self, hops: int) -> None:
        if not self._is_logged:
            self._is_logged = True
            log.error(LOOP_DETECTED, sidecars=hops, remedy=REMEDY)


def _ids(value: str | bytes) -> list[str]:
    return value.split(",") if isinstance(value, str) else []


class Echoes:
    """Recognises requests that were annotated here a moment ago, by one span of each.

    A span that is sent again after a failure comes without our vector: it is no echo.
    """

    def __init__(self, annotator: Annotator) -> None:
        self._annotator = annotator
        self._sent: LRUCache[tuple[bytes, bytes], None] = LRUCache(MAX_REMEMBERED)
        self._is_logged = False

    def remember(self, span: bytes) -> None:
        """Remember a span that goes on with a vector.

        Raises:
            google.protobuf.message.DecodeError: it is not a Span.

        """
        self._sent[_identity(span)] = None

    def is_echo(self, span: bytes) -> bool:
        """Tell whether a span has come back with the vector that it was sent on with.

        Raises:
            google.protobuf.message.DecodeError: it is not a Span.

        """
        if _identity(span) not in self._sent:
            return False
        is_echo = self._annotator.standing(span) is Standing.CURRENT
        if is_echo and not self._is_logged:
            self._is_logged = True
            log.warning(LOOP_SUSPECTED, remedy=REMEDY)
        return is_echo


def _identity(span: bytes) -> tuple[bytes, bytes]:
    """Give trace and span id."""
    # A message with bytes in its fields 1 and 2 reads just these of a span.
    ids = pb.KeyValue.FromString(span)
    return ids.key, ids.value
