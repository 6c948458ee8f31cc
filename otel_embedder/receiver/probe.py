"""Asks a sidecar how it is, as a load balancer does: by gRPC health (`grpc.health.v1`).

Without an event loop and without settings of its own: whoever keeps asking, as an image's health
check does, pays for a process each time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
from grpc_health.v1 import health_pb2
from grpc_health.v1.health import SERVICE_NAME

from otel_embedder.errors import UnhealthyError

if TYPE_CHECKING:
    Check = grpc.UnaryUnaryMultiCallable[
        health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse
    ]

CHECK_METHOD = f"/{SERVICE_NAME}/Check"
SERVING = health_pb2.HealthCheckResponse.SERVING

# The address is a chosen one. A proxy for the web, which gRPC would take from the environment, is
# not on the way.
CHANNEL_OPTIONS = (("grpc.enable_http_proxy", 0),)


def ask(address: str, *, seconds: float) -> None:
    """Ask the sidecar at an address whether it takes spans.

    Args:
        address: HOST:PORT or unix:PATH.
        seconds: what time it has.

    Raises:
        UnhealthyError: it does not, or nobody answers.

    """
    with grpc.insecure_channel(address, CHANNEL_OPTIONS) as channel:
        check: Check = channel.unary_unary(
            CHECK_METHOD,
            health_pb2.HealthCheckRequest.SerializeToString,
            health_pb2.HealthCheckResponse.FromString,
        )
        try:
            answer = check(health_pb2.HealthCheckRequest(), timeout=seconds)
        except grpc.RpcError as error:
            raise UnhealthyError(
                f"{address} does not answer: {error.code().name}, {error.details()}"
            ) from error
    if answer.status != SERVING:
        name = health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)
        raise UnhealthyError(
            f"{address} answers {name}: it is about to stop, or not all of its workers take spans"
        )
