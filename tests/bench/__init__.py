"""Measures the sidecar beside a Collector that only passes on: `python -m tests.bench`.

Times differ by a factor of two between machines, and between minutes on a shared one. So what is
compared is measured in turns within one run, and the ratio counts.
"""
