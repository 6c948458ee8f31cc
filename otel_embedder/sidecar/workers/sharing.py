"""One sidecar's settings, made those of one worker of several: together they hold no more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_embedder.embedder.models.engines import thread_count
from otel_embedder.receiver.addresses import addresses, socket_path

if TYPE_CHECKING:
    from otel_embedder.settings import Settings
    from otel_embedder.sidecar.workers.channel import Share

# What all workers have together, and the least that one may have of it.
SHARED = {
    "max_inflight_requests": 1,
    "max_inflight_bytes": 1024,
    "cache_size": 100,
    "max_queue_size": 1,
}


def own_settings(share: Share) -> Settings:
    """Give the settings of a worker."""
    settings = share.settings
    own: dict[str, object] = {
        name: max(least, getattr(settings, name) // settings.workers)
        for name, least in SHARED.items()
    }
    own["model_threads"] = max(1, thread_count(settings.model_threads) // settings.workers)
    own["listen"] = _listen(share)
    own |= {"metrics_listen": "", "metrics_otlp_endpoint": None}  # the supervisor tells of all
    return settings.model_copy(update=own)


def _listen(share: Share) -> str:
    """Give the ports, which are all workers', and the socket files that are this one's.

    The kernel shares no socket file.
    """
    each = addresses(share.settings.listen)
    ports = [address for address in each if socket_path(address) is None]
    sockets = [address for address in each if socket_path(address) is not None]
    return ",".join([*ports, *sockets[share.number :: share.settings.workers]])
