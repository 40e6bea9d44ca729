"""Maps by the gradient of the class score with respect to the image."""
