"""Fuzzing: whatever bytes come in, no crash, no change, bounded time.

`checks` says what must hold for any input. Three things feed it: atheris, which follows the
branches that are taken (`make fuzz`); hypothesis (test_fuzz.py); and the corpus, where every
input that was ever a finding lies beside seeds of ours, and which is part of the ordinary tests.
"""
