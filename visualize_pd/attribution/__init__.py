"""One image and one class in, one map out."""
