"""Weight files: find or download a file, read it, and load it into a network."""
