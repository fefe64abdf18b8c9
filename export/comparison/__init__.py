"""Comparison of precisions: figures and the page that shows them."""
