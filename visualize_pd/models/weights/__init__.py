"""Weights: find a file, or download one; read it, and fit it to a network."""
