"""Recall sources and the indexes they search."""
