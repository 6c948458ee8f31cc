"""Vectors for programs that have traces, without the sidecar."""
