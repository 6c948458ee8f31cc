"""The name of a span's service."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_embedder.otlp.remembered import Remembered
from otel_embedder.proto import otlp_wire_pb2 as pb
from otel_embedder.text.purse import SERVICE_KEY, cut_resource, cut_value
from otel_embedder.text.values import render_value

if TYPE_CHECKING:
    from otel_embedder.text.hiding.secrets import Secrets

UNKNOWN_SERVICE = "unknown_service"  # as OpenTelemetry's SDKs have it
MAX_SERVICE_CHARACTERS = 256


class Services:
    """Knows the names of services by their encoded Resources, as most come again and again."""

    def __init__(self, secrets: Secrets) -> None:
        """Begin with none.

        Args:
            secrets: what is hidden.

        """
        self._names = Remembered(lambda resource: service_name(resource, secrets))

    def name(self, resource: bytes) -> str:
        """Give the `service.name` of an encoded Resource.

        Raises:
            google.protobuf.message.DecodeError: it is not a Resource.

        """
        # To look for all of a large one takes a millisecond for each megabyte.
        return self._names[cut_resource(resource)]


def service_name(resource: bytes, secrets: Secrets) -> str:
    """Give the `service.name` of an encoded Resource that was cut.

    Raises:
        google.protobuf.message.DecodeError: it is not a Resource.

    """
    for encoded in pb.Resource.FromString(resource).attributes:
        # Other keys may be long, and to look for secrets in one takes a millisecond for 4 KB.
        pair = pb.KeyValue.FromString(encoded)
        if pair.key == SERVICE_KEY and pair.value:
            name = render_value(cut_value(pair.value), secrets)
            return name[:MAX_SERVICE_CHARACTERS] or UNKNOWN_SERVICE
    return UNKNOWN_SERVICE
