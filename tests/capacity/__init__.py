"""How many sidecars a load needs, and which of several gets a span: docs/scale.md."""
