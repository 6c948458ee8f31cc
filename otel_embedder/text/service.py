"""The name of a span's service."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_embedder.proto import otlp_wire_pb2 as pb
from otel_embedder.text.purse import SERVICE_KEY, cut_resource, cut_value
from otel_embedder.text.values import read_key_value, render_value

if TYPE_CHECKING:
    from otel_embedder.text.hiding.secrets import Secrets

UNKNOWN_SERVICE = "unknown_service"  # as OpenTelemetry's SDKs have it
MAX_SERVICE_CHARACTERS = 256


def service_name(resource: bytes, secrets: Secrets) -> str:
    """Give the `service.name` of an encoded Resource.

    Raises:
        google.protobuf.message.DecodeError: it is not a Resource.

    """
    for encoded in pb.Resource.FromString(cut_resource(resource)).attributes:
        key, value = read_key_value(encoded, secrets)
        if key == SERVICE_KEY and value:
            name = render_value(cut_value(value), secrets)
            return name[:MAX_SERVICE_CHARACTERS] or UNKNOWN_SERVICE
    return UNKNOWN_SERVICE
