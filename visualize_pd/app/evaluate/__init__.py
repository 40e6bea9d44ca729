"""Run the measures on many photographs, and write tables, plots and JSON files."""
