"""Worked examples. Each of them is a command."""
