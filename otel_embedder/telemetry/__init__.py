"""What this process tells of itself."""
