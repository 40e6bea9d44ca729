"""Maps that carry the score back through the layers, each by a rule of its own."""
