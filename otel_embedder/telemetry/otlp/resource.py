"""Who tells: what the process's own metrics and spans say of where they come from."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

# The instrumentation scope of all that we tell of ourselves.
OWN_SCOPE = "otel_embedder"


def own_resource(attributes: Mapping[str, str], version: str) -> dict[str, str]:
    """Give the resource's attributes; those given go before what we would say."""
    return {
        "service.name": "otel-embedder",
        "service.version": version,
        "service.instance.id": str(uuid.uuid4()),
        **attributes,
    }
