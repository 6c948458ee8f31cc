"""OTLP's services over gRPC, by their full names."""

from __future__ import annotations

TRACE_SERVICE = "opentelemetry.proto.collector.trace.v1.TraceService"
EXPORT_METHOD = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
METRICS_METHOD = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"
# Profiles are in development; their package will be v1.
OTHER_SERVICES = {
    "opentelemetry.proto.collector.logs.v1.LogsService": "logs",
    "opentelemetry.proto.collector.metrics.v1.MetricsService": "metrics",
    "opentelemetry.proto.collector.profiles.v1development.ProfilesService": "profiles",
    "opentelemetry.proto.collector.profiles.v1.ProfilesService": "profiles",
}
