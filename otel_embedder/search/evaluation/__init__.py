"""How well texts serve: whether questions find their spans, and faults their like."""
