"""The client of the next hop: splits, sends, and sums up what became of the spans."""
