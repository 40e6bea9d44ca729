"""Method 2: make images for classes or layers, and write frames and an animation."""
