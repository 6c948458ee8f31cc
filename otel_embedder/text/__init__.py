"""A span as a short text: what it says, masked, rounded, and without secrets."""
