"""Priors: penalties, transforms and pixel steps that keep a generated image natural."""
