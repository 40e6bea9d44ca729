"""Measure the maps of several methods on many photographs, and compare two of them."""
