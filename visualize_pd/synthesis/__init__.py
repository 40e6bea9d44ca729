"""Images that are made by gradient ascent."""
