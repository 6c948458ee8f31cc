"""What the sidecar calls what it tells: to be changed here, where it is called otherwise."""

FAILING = "next_hop.failing"
RECOVERED = "next_hop.recovered"
CATALOGUE_FAILING = "catalogue.failing"
CATALOGUE_RECOVERED = "catalogue.recovered"

CATALOGUE_WRITTEN = "otel_embedder_catalogue_written_spans_total"
CATALOGUE_DROPPED = "otel_embedder_catalogue_dropped_spans_total"
SENT = "otel_embedder_exporter_sent_spans_total"
CANCELLED_SPANS = "otel_embedder_receiver_cancelled_spans_total"
DROPPED_LINES = "otel_embedder_dropped_log_lines_total"
SEND_LIMIT = "otel_embedder_exporter_send_limit_bytes"
# Spans whose vectors were given up, and those that were not sent again since they had been taken.
GIVEN_UP = (
    "otel_embedder_exporter_sent_bare_spans_total",
    "otel_embedder_left_bare_spans_total",
    "otel_embedder_exporter_skipped_spans_total",
)

ASSUMED_DEADLINE = "--assumed-deadline"
