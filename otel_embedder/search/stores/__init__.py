"""Where a catalogue is kept: one module each."""
