"""OTLP/JSON, and what else people call so, as protobuf."""
