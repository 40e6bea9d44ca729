"""Worked examples, each of them a command."""
