"""`otel-embedder nearest`: what `search` was called first."""

from __future__ import annotations

from otel_embedder.cli.search import command

__all__ = ["command"]
