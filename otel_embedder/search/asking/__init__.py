"""What a catalogue is asked by, and what it answers."""
