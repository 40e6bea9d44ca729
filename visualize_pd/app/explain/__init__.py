"""Method 1: explain photographs, and write figures of the maps."""
