"""What is different since some time, from counts alone."""
