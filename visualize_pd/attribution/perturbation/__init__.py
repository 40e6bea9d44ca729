"""Methods that hide parts of the image and compare the scores. They need no gradient."""
