"""Evaluation: metrics by method, intervals, report."""
