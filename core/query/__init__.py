"""Interpretation of a request's text: which values, numbers, negations and superlatives it names."""
