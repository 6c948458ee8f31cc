"""The sidecars that a request has passed, in a header that each adds its own id to."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from otel_embedder.errors import LOOP_REMEDY, LoopError
from otel_embedder.telemetry.logs import get_logger

if TYPE_CHECKING:
    from otel_embedder.otlp.call import Metadata

log = get_logger()

LOOP_DETECTED = "loop.detected"
HOPS_KEY = "x-otel-embedder-hops"
ID_BYTES = 8


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
            raise LoopError(f"the spans have come back to where they were; {LOOP_REMEDY}")
        others = (pair for pair in metadata if pair[0] != HOPS_KEY)
        return (*others, (HOPS_KEY, ",".join([*hops, self._own])))

    def _log(self, hops: int) -> None:
        if not self._is_logged:
            self._is_logged = True
            log.error(LOOP_DETECTED, sidecars=hops, remedy=LOOP_REMEDY)


def _ids(value: str | bytes) -> list[str]:
    return value.split(",") if isinstance(value, str) else []
