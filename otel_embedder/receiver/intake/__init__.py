"""What a call brings, taken in within bounds of memory and time: its headers and its message."""
