"""What a span says of its error: in its status, in events and in stack traces."""
