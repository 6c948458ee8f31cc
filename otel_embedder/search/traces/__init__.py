"""Whole traces, compared span by span."""
