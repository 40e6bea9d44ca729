"""Load a network by its name, with its weights, its input settings and its class names."""
