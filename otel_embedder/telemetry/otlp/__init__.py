"""What this process tells of itself by OTLP: its metrics, and from whom that comes."""
