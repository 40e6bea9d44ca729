"""Maps that hide parts of the image and watch the score. No gradient is needed."""
