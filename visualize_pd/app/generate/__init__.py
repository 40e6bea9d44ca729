"""Method 2: a class or a layer in, frames and an animation out."""
