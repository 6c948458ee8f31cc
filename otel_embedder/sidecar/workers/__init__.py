"""Several whole sidecars at one address: a supervisor, and the workers that it starts."""
