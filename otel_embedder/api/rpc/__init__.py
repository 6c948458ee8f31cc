"""The questions of the API over gRPC, and vectors for whoever has texts or spans."""
