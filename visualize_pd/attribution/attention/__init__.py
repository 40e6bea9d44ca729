"""Maps that are made of the attention of a transformer."""
