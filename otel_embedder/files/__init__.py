"""Traces in files: read, annotated, and written again."""
