"""Trials of a second release beside the live one: shadows, and splits of the callers."""
