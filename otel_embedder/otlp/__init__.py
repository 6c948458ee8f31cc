"""OTLP as bytes: requests, spans, attributes and statuses, taken apart no further than needed."""
