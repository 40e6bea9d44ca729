"""Computations whose results are shown while they run. They know nothing of Gradio."""
