"""Relevance of the real service's answers: one table of figures beside their goals."""
