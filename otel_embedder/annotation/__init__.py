"""An embedding as attributes of a span, and what a span has of one already."""
