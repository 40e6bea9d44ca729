"""Methods that cut the image into segments, and explain segments in place of pixels."""
