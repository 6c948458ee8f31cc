"""The sidecar: its parts built, joined, and taken down in the reverse order."""
