"""What a recorder is made of: spans as columns, what they say by numbers, and their counts."""
