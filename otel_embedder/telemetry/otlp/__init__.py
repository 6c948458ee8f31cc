"""What this process tells of itself by OTLP: its metrics, and spans of its own work."""
