"""Methods that explain: one image and one class in, one map out."""
