"""The door: where it listens, who is let in, and what a call may cost."""
