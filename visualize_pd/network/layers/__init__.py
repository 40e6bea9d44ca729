"""Layers of a network: find them by their names, and read what they return."""
