"""Spans found by meaning, and told apart."""
