"""Faults injected for real: a Collector, the sidecar and a next hop, and what became of the spans.

A row of the table is a function that `@fault` names; to add one, write one. `make faults` runs all.
"""
