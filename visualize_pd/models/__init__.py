"""A network by its name, with its weights and what is needed to feed it and to read it."""
