"""Maps that are made of gradients along a path from a baseline to the image."""
