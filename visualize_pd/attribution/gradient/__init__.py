"""Maps that are made of the gradient of the class score with respect to the image."""
