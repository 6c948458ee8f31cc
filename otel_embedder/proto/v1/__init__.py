"""Code that `make proto` generates from proto/otel_embedder/v1."""
