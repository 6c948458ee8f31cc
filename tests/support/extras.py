"""Imports what an extra is for, where the wheel has that extra alone: `make test-extras`."""

from __future__ import annotations

import sys
from importlib import import_module, util
from pkgutil import walk_packages

import otel_embedder

DEMO = {
    *(f"otel_embedder.cli.demo.{name}" for name in ("living", "shop", "sink", "story")),
    "otel_embedder.sdk",
}
MCP = {"otel_embedder.api.stdio", "otel_embedder.api.tools"}
HTTP = (
    *("app", "bodies", "events", "groups", "guard", "problems", "serving", "session"),
    "static_files",
)
PAGE = {"otel_embedder.api.opening", *(f"otel_embedder.api.http.{name}" for name in HTTP)}
TELEMETRY = {"otel_embedder.otlp.tracing"}
# What needs an extra.
OPTIONAL = DEMO | PAGE | MCP | TELEMETRY
# By extra: what it brings, and the modules that ask for it. Nothing else may.
EXTRAS = {
    "demo": ("opentelemetry.exporter", DEMO),
    "sdk": ("opentelemetry.sdk", {"otel_embedder.sdk"}),
    "page": ("starlette", PAGE),
    "mcp": ("mcp", MCP),
    "telemetry": ("opentelemetry.sdk", TELEMETRY),
    "none": ("", set[str]()),
}


def main(extra: str) -> None:
    """Import every module that is to work with this extra."""
    brought, modules = EXTRAS[extra]
    if brought:
        import_module(brought)
    elif util.find_spec("opentelemetry.sdk"):
        sys.exit("the wheel brings the SDK, which only extras should")
    each = {found.name for found in walk_packages(otel_embedder.__path__, "otel_embedder.")}
    for name in sorted(each - OPTIONAL - {"otel_embedder.__main__"} | modules):
        import_module(name)
    sys.stdout.write(f"{extra}: {len(each - OPTIONAL | modules)} modules imported\n")


if __name__ == "__main__":
    main(sys.argv[1])
