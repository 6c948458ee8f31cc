"""What no text may hold: secrets, by the names of keys, by their place and by their look."""
