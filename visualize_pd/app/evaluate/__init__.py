"""Measures over many photographs: tables, plots and JSON out."""
