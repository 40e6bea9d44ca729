"""Method 1: photographs in, figures out."""
