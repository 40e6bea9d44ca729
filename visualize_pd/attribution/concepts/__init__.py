"""Concepts of a class: parts into which a layer's activations fall, and their importance."""
