"""Counts what is run for each span, and compares: no clock, so a busy machine changes nothing."""
